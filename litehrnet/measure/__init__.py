"""How fast a graph is, compared in turn, and where its time goes."""
