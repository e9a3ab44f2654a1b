"""The embedded exchange: Binance spot's REST and WebSocket protocol on loopback, over a market of its own."""
