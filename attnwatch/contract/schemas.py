"""JSON Schemas of all documents in FORMAT.md; those in `configs/schema/` are generated from the models."""

from typing import Any

from pydantic import BaseModel

from attnwatch.contract.batch_documents import BatchCompleteDocument, BatchDocument, FailureDocument
from attnwatch.contract.documents import AcceptanceDocument, ContactSheetsDocument, ManifestDocument, ReceiptDocument
from attnwatch.contract.export_document import ExportDocument
from attnwatch.contract.measures_document import MeasuresDocument
from attnwatch.contract.status_document import StatusDocument

DOCUMENTS: dict[str, type[BaseModel]] = {
    "manifest": ManifestDocument,
    "batch": BatchDocument,
    "batch-complete": BatchCompleteDocument,
    "failure": FailureDocument,
    "receipt": ReceiptDocument,
    "acceptance": AcceptanceDocument,
    "contact-sheets": ContactSheetsDocument,
    "export": ExportDocument,
    "measures": MeasuresDocument,
    "status": StatusDocument,
}


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of one of `DOCUMENTS`."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {**dialect, **DOCUMENTS[name].model_json_schema()}
