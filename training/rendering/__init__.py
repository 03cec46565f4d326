"""The parts of training/render_people.py: bodies, poses, clothes, a z-buffer and the people's surroundings."""

# Joints that no public weights find: lesson 10 teaches them.
OWN_JOINTS = ("top of the head", "left fingertip", "right fingertip")
