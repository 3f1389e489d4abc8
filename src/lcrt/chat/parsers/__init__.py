"""How models write what is not the answer: a file per form, with its grammar and what takes it apart again."""
