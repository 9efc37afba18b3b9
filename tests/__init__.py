"""The tests, by package; what several of them build on stands here beside this file."""
