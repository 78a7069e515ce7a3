"""Stand-in for ROS 2 Jazzy's `sensor_msgs_py`: the parts of `point_cloud2` that nodes use."""

__lircdepth_stand_in__ = True
