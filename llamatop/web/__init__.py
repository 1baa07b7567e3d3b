"""The screen in a browser: a page with a terminal in it, and a program behind each tab.

Knows processes and sockets; what the programs show it does not know.
"""
