# `ros2 run` looks in lib/lircdepth; the plain shell command should find the same three scripts.
_colcon_prepend_unique_value PATH "$COLCON_CURRENT_PREFIX/lib/lircdepth"
