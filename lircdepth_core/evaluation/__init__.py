"""How good depth and its uncertainty are: metrics, breakdowns, and a page that shows them."""
