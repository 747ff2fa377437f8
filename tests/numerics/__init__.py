"""Is the number, and its error bar, right?"""
