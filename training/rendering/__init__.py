"""The parts of training/render_people.py: bodies, poses, clothes, a z-buffer and the people's surroundings."""

# Joints that the bundled weights do not know.
OWN_JOINTS = ("top of the head", "left fingertip", "right fingertip")
