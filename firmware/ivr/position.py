"""A caller's position in a flow: its fields, and the bounds of a visit (interpreter.py says what each field is)."""

PROMPT, DIGIT, ANSWER, RECORDING, PROGRAM, OTHER = "prompt", "digit", "answer", "recording", "program", "other"
NONE = {"do": "none"}
FIELDS = {"flow": None, "node": None, "waiting": OTHER, "language": None, "missed": 0, "wrong": 0, "ahead": "", "entry": "", "errors": 0, "idle": 0,
          "stack": [], "variables": {}, "asked": {}, "operation": None, "error": None, "answer": None}

# A flow that the check let through can still loop over prompts whose files are missing, or a flow that no check has
# seen over transfers that fail at once; invented bounds.
MAX_ERRORS = 8
MAX_SILENT = 100        # nodes passed without anything to hear
MAX_IDLE = 150          # nodes passed without an act of the caller; some take four frames of Python's stack each
AHEAD = 40              # digits kept
FAILURE_CAUSE = 41      # Q.850: temporary failure
VARIABLES = 16000       # characters of all variables of a call
