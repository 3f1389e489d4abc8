"""Long steps in processes of their own, and what is told of them."""
