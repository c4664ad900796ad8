"""What the help of each command shows around its options: how it is called, and examples."""

_WATCH = """\
Examples:
  attnwatch outputs/             render what is finished, then each new video
  attnwatch outputs/ --once      render what is finished, and exit
  attnwatch outputs/ --dry-run   list what would be rendered
  attnwatch outputs/ --once --since 2025-06-01 --tokens kiss --set figsize=12x8
  attnwatch run -- python -m generator ...    generate and render, side by side
  attnwatch COMMAND --help       explain a command
"""

SYNOPSIS = {
    "": "Usage: attnwatch [OPTIONS] FOLDER...\n       attnwatch COMMAND ...",
    "run": "Usage: attnwatch run [OPTIONS] [FOLDER] -- COMMAND...",
    "render": "Usage: attnwatch render [OPTIONS] PATH...",
    "collect": "Usage: attnwatch collect [OPTIONS] BATCH...",
    "compose": "Usage: attnwatch compose [OPTIONS] VIDEO... -o FILE",
    "still": "Usage: attnwatch still [OPTIONS] VIDEO -o FILE",
    "check": "Usage: attnwatch check [OPTIONS] PATH...",
    "status": "Usage: attnwatch status [OPTIONS] FOLDER",
    "retry": "Usage: attnwatch retry [OPTIONS] FOLDER [VIDEO_ID...]",
    "accept": "Usage: attnwatch accept [OPTIONS] VIDEO...",
    "doctor": "Usage: attnwatch doctor [OPTIONS] FOLDER",
    "export": "Usage: attnwatch export [OPTIONS] VIDEO...",
    "measure": "Usage: attnwatch measure [OPTIONS] BATCH...",
    "compare": "Usage: attnwatch compare [OPTIONS] BATCH... --by SLOT",
    "view": "Usage: attnwatch view [OPTIONS] FOLDER",
    "import": "Usage: attnwatch import [OPTIONS] FOLDER",
    "settings": "Usage: attnwatch settings [OPTIONS] [NAME...]",
    "schema": "Usage: attnwatch schema [DOCUMENT]",
    "completion": "Usage: attnwatch completion [bash|zsh|fish]",
}
"""The first lines of the help of each command; `""` is the program itself."""

EXAMPLES = {
    "": _WATCH,
    "run": """\
Examples:
  attnwatch run -- python -m generator --template "a (kiss)" --batch-name kiss
  attnwatch run renders/ --workers 2 -- python my_script.py --out renders/
""",
    "render": """\
Examples:
  attnwatch render outputs/demo_20260102_030405/videos/prompt_001/video_001.mp4
  attnwatch render demo --force --set colormap=viridis --set quality=high
""",
    "collect": """\
Examples:
  attnwatch collect demo                      the newest batch of this name
  attnwatch collect outputs/demo_20260102_030405 --tokens kiss
""",
    "compose": """\
Examples:
  attnwatch compose video_001.mp4 --words kiss,men -o words.mp4
  attnwatch compose 'demo/*_vid001' --words kiss -o prompts.mp4
  attnwatch compose demo --words kiss -o kiss.gif --max-size 5MB
  attnwatch compose demo --words kiss,men --set overlay=contour -o all.webp
""",
    "still": """\
Examples:
  attnwatch still video_001.mp4 --word kiss --at 1.5s -o kiss.pdf
  attnwatch still video_001.mp4 --words kiss,men --grid frames -o words.svg
  attnwatch still video_001.mp4 --word kiss --grid steps --step 0,9,19 -o a.pdf
  attnwatch still video_001.mp4 --word kiss --grid layers --at 24f -o b.png
""",
    "check": """\
Examples:
  attnwatch check outputs/demo_20260102_030405
  attnwatch check video_001.complete.json
""",
    "status": """\
Examples:
  attnwatch status outputs/
  attnwatch status demo --json                for programs
  attnwatch status outputs/ --health          for containers, by exit code
""",
    "retry": """\
Examples:
  attnwatch retry outputs/                    all failed videos
  attnwatch retry demo prompt_001_vid001      this one
""",
    "accept": """\
Examples:
  attnwatch accept outputs/demo_20260102_030405/videos/*/*.mp4
  attnwatch accept archive/*/video_001.mp4 --root archive --out rendered
""",
    "doctor": """\
Examples:
  attnwatch doctor outputs/
  attnwatch doctor outputs/ --engine dask://scheduler:8786    its workers, too
""",
    "export": """\
Examples:
  attnwatch export demo                       EXR images of all words and videos
  attnwatch export video_001.mp4 --words kiss --format prores4444 -o comp/
  attnwatch export video_001.mp4 --grid       the latent grid itself
  attnwatch export demo page/                 the page of `attnwatch view`
  attnwatch export demo --format page --words kiss --steps mean -o page/
""",
    "measure": """\
Examples:
  attnwatch measure demo > demo.csv           a row for each word of each video
  attnwatch measure demo other -o both.parquet
  attnwatch measure demo --words kiss --level step -o steps.csv
  attnwatch measure demo --level head --figure focus.pdf
""",
    "compare": """\
Examples:
  attnwatch compare demo --by 1               the choices in the first [...]
  attnwatch compare demo --by 1 --word kiss -o kiss.csv --figure kiss.pdf
  attnwatch compare demo --by 2 --word slot:1 --measure mass,velocity_x
  attnwatch compare wan ltx --by model --over time --figure time.pdf
""",
    "view": """\
Examples:
  attnwatch view outputs/                     then open http://127.0.0.1:8642
  attnwatch view demo --port 8700
  attnwatch view outputs/ --host 0.0.0.0      from other machines, with a token
""",
    "import": """\
Examples:
  attnwatch import outputs/old_batch
  attnwatch import outputs/old_batch --convert --trust-pickle
""",
    "settings": """\
Examples:
  attnwatch settings                          all of them
  attnwatch settings figsize fps              what these accept, and where
  attnwatch settings --config settings.yaml   with those of a file
""",
    "schema": """\
Examples:
  attnwatch schema > manifest.schema.json
  attnwatch schema status
""",
    "completion": """\
Examples:
  source <(attnwatch completion bash)         in ~/.bashrc
  source <(attnwatch completion zsh)          in ~/.zshrc, after compinit
  attnwatch completion fish | source          in ~/.config/fish/config.fish
""",
}
"""The last lines of the help of each command."""
