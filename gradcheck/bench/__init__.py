"""How fast are the kernels, the training steps and the checks? Beside what no code can beat, and what others do."""
