"""The parts of training/render_people.py: bodies, poses, clothes, a z-buffer and what stands around the people."""
