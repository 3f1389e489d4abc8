"""Help texts of the conversation."""

COMMANDS = """\
Commands:
  /set            Change a setting of this conversation
  /show           Show what is known of the model
  /load MODEL     Begin a new conversation with another model
  /save MODEL     Make a model that begins with this conversation
  /clear          Forget the conversation
  /list           List the models
  /bye, /exit     Leave
  /?, /help       Show this help
  /? set          Show the settings
  /? show         Show what can be shown
  /? shortcuts    Show the keys

Begin and end a message of several lines with \"\"\"."""

SET = """\
Settings:
  /set parameter NAME VALUE   Set a parameter of the model
  /set system TEXT            Set the system message
  /set think [LEVEL]          Let the model think: high, medium, low or max
  /set nothink                Let it answer without thinking
  /set format json            Have answers in JSON
  /set noformat               Have answers in any form
  /set verbose, quiet         Print times and rates after answers, or do not
  /set wordwrap, nowordwrap   Wrap words at the edge of the terminal, or do not
  /set history, nohistory     Remember what is typed, or do not"""

PARAMETERS = """\
Parameters:
  /set parameter seed N               Draw the same numbers each time
  /set parameter num_predict N        Generate at most N tokens
  /set parameter top_k N              Choose among the N likeliest tokens
  /set parameter top_p X              Choose among the tokens that make up this share
  /set parameter min_p X              Leave out tokens below this share of the likeliest
  /set parameter temperature X        The higher, the less predictable
  /set parameter repeat_penalty X     Avoid what was said before
  /set parameter repeat_last_n N      How many tokens back to look for that
  /set parameter num_ctx N            Tokens that fit in the context
  /set parameter num_gpu N            Layers that go to the GPU
  /set parameter stop TEXT TEXT ...   Where an answer ends"""

SHOW = """\
What can be shown:
  /show info          An overview of the model
  /show license       Its licence
  /show modelfile     Its Modelfile
  /show parameters    Its parameters, and those set here
  /show system        The system message
  /show template      Its prompt template"""

SHORTCUTS = """\
Keys:
  Ctrl + a, Home        To the beginning of the line
  Ctrl + e, End         To the end of the line
  Alt + b, Alt + f      A word back, a word forward
  Ctrl + k              Delete to the end of the line
  Ctrl + u              Delete to the beginning of the line
  Ctrl + w              Delete the word before the cursor
  Ctrl + l              Clear the screen
  Ctrl + j              Begin a new line in the message
  Ctrl + g              Write the message in your editor
  Up, Down              Earlier and later messages
  Ctrl + c              Stop the answer, or drop what is typed
  Ctrl + d, /bye        Leave"""
