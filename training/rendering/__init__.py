"""The parts of training/render_people.py: bodies, poses, clothes, a z-buffer and the people's surroundings."""
