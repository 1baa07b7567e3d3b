"""Whatever bytes come: a clean error or an answer, soon, and in bounded memory."""
