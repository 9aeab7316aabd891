"""From what was asked for to what is executed, in this process or by a worker of the project.

Imports the runs of every kind and what plans them; imported by the commands, the pages and the
public faces.
"""
