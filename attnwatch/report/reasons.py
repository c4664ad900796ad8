"""Why a video is not rendered, in words that the log and `attnwatch status` share."""

SWITCHED_OFF = (
    "neither auto_generate_per_video nor auto_generate_videos is true; `attnwatch render` renders a video by its name"
)
ONLY_COLLECTED = "auto_generate_per_video is false: rendered when the batch has ended, for its collection"
