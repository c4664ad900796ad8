"""The tracked words of a video, under the names that its maps and outputs have."""

from attnwatch.contract.manifest import Manifest
from attnwatch.contract.names import UNCONDITIONAL_PREFIX, unique_slugs
from attnwatch.errors import AttnwatchError
from attnwatch.library.maps import open_maps
from attnwatch.web.documents import TokenRecord


def words_of(manifest: Manifest) -> tuple[TokenRecord, ...]:
    """Return the words in the order of the prompts, the negative one last; if none is listed, those of its maps."""
    document = manifest.document
    tokens = [*document.tokens, *document.negative_tokens]
    if not tokens:
        return tuple(TokenRecord(slug=slug, text=slug, span=None, negative=False) for slug in _stored(manifest))
    own = len(document.tokens)
    names = [f"{UNCONDITIONAL_PREFIX if n >= own else ''}{token.slug}" for n, token in enumerate(tokens)]
    return tuple(
        TokenRecord(slug=name, text=token.text, span=token.span, negative=n >= own)
        for n, (name, token) in enumerate(zip(unique_slugs(names), tokens, strict=True))
    )


def _stored(manifest: Manifest) -> tuple[str, ...]:
    if not manifest.document.attention:
        return ()
    try:
        with open_maps(manifest) as reader:
            return tuple(reader.words)
    except (AttnwatchError, OSError):
        return ()
