"""Every fault at every step of an order's life: the bench on which it happens, and the cells that are to be seen."""
