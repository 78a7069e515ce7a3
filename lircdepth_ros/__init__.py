"""ROS 2 side of lircdepth: messages in, `lircdepth_core`, messages out."""
