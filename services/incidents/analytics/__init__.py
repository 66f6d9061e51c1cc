"""How incidents and people have fared: facts beside the paging path, and the numbers that are asked of them."""
