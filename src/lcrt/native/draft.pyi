"""Makes the backend under a model that guesses for another one."""
