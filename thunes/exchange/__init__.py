"""The exchange: its REST and its streams as our types, and the embedded one."""
