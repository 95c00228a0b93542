// Package tensorjson reads and writes inference requests and answers as JSON, as Open Inference Protocol v2 has them over
// HTTP ("Inference Request JSON Object"), with Triton's binary tensor data extension
// (protocol/extension_binary_data.md): a tensor's data may follow the JSON as it lies in memory.
package tensorjson

import "errors"

// ErrSyntax is the error of text that is no request; it names the field.
var ErrSyntax = errors.New("request JSON")

// ErrNoForm is the error of an output that JSON cannot carry; it can be asked for as binary data.
var ErrNoForm = errors.New("no JSON form")

// HeaderLength is the HTTP header that says how many bytes of a body are JSON, where binary data follow it.
const HeaderLength = "Inference-Header-Content-Length"

// WholeBody as a header's length says that no binary data follow the JSON.
const WholeBody = -1

const (
	tensorsMax = 1024 // in a request; what serves it has a lower limit of its own
	depthMax   = 64   // of nested lists of data
)

// Parameters that say how tensors lie in a body. They are not the function's.
const (
	binaryDataSize   = "binary_data_size"
	binaryData       = "binary_data"
	binaryDataOutput = "binary_data_output"
)

// sharedRegion is the parameter of a tensor in shared memory, sharedPrefix what all of its kind begin with
// (protocol/extension_shared_memory.md).
const (
	sharedPrefix = "shared_memory_"
	sharedRegion = sharedPrefix + "region"
)

// Form is how an answer's outputs are to be written, as its request said. The zero value writes JSON alone.
type Form struct {
	binary bool            // outputs that the request does not name
	named  map[string]bool // those that it names
	shared map[string]bool // those that it wants in shared memory: only where they lie is written
}

func (f Form) isBinary(output string) bool {
	if binary, named := f.named[output]; named {
		return binary
	}
	return f.binary
}

// elementBytes holds the datatypes and the length of an element, 0 where it differs.
var elementBytes = map[string]int{
	"BOOL": 1, "UINT8": 1, "UINT16": 2, "UINT32": 4, "UINT64": 8, "INT8": 1, "INT16": 2, "INT32": 4, "INT64": 8,
	"FP16": 2, "BF16": 2, "FP32": 4, "FP64": 8, "BYTES": 0,
}

// lengthBytes is what stands before each element of BYTES.
const lengthBytes = 4
