package tensorjson

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// dataReader gives tensors their bytes, from a body's binary data or from lists, up to a bound for all.
type dataReader struct {
	binary []byte // not yet taken
	left   int    // bytes that tensors may still have
}

func (r *dataReader) take(size int) ([]byte, error) {
	if size > len(r.binary) {
		return nil, fmt.Errorf("%s is %d, %d bytes are left of the body", binaryDataSize, size, len(r.binary))
	}
	if err := r.charge(size); err != nil {
		return nil, err
	}
	raw := r.binary[:size:size]
	r.binary = r.binary[size:]
	return raw, nil
}

func (r *dataReader) charge(size int) error {
	if size > r.left {
		return fmt.Errorf("data: the request's tensors have more bytes than allowed, %d are left for this one", r.left)
	}
	r.left -= size
	return nil
}

// parse reads nested or flat lists, row by row. The text is valid JSON, as json.RawMessage holds it.
func (r *dataReader) parse(datatype string, text []byte) ([]byte, error) {
	if _, known := elementBytes[datatype]; !known {
		return nil, fmt.Errorf("datatype %q is unknown", short([]byte(datatype)))
	}
	var raw []byte
	depth, index := 0, 0
	for at := 0; at < len(text); {
		switch text[at] {
		case ' ', '\t', '\r', '\n', ',':
			at++
		case '[':
			if depth++; depth > depthMax {
				return nil, fmt.Errorf("data is nested deeper than %d lists", depthMax)
			}
			at++
		case ']':
			depth--
			at++
		default:
			if depth == 0 {
				return nil, fmt.Errorf("data is %s, must be a list", short(text))
			}
			end := elementEnd(text, at)
			was := len(raw)
			var err error
			if raw, err = appendElement(raw, datatype, text[at:end]); err != nil {
				return nil, fmt.Errorf("data[%d]: %w", index, err)
			}
			if err := r.charge(len(raw) - was); err != nil {
				return nil, err
			}
			at, index = end, index+1
		}
	}
	return raw, nil
}

// elementEnd is where a string, an object's brace or a bare word that begins at a position ends.
func elementEnd(text []byte, at int) int {
	switch text[at] {
	case '{', '}': // no element: the error shows it
		return at + 1
	case '"':
		for at++; text[at] != '"'; at++ {
			if text[at] == '\\' {
				at++
			}
		}
		return at + 1
	}
	for at < len(text) {
		switch text[at] {
		case ' ', '\t', '\r', '\n', ',', ']':
			return at
		}
		at++
	}
	return at
}

// appendElement appends one value as it lies in memory, little-endian.
func appendElement(raw []byte, datatype string, text []byte) ([]byte, error) {
	misfit := func() error { return fmt.Errorf("%s does not fit datatype %s", short(text), datatype) }
	if datatype == "BYTES" {
		var value string
		if text[0] != '"' || json.Unmarshal(text, &value) != nil {
			return nil, misfit()
		}
		raw = binary.LittleEndian.AppendUint32(raw, uint32(len(value)))
		return append(raw, value...), nil
	}
	bits, fits := elementBits(datatype, string(text))
	if !fits {
		return nil, misfit()
	}
	for range elementBytes[datatype] {
		raw = append(raw, byte(bits))
		bits >>= 8
	}
	return raw, nil
}

// elementBits reads one value. FP16 and BF16 have no JSON form in the protocol.
func elementBits(datatype, text string) (bits uint64, fits bool) {
	var err error
	size := 8 * elementBytes[datatype]
	switch datatype {
	case "BOOL":
		switch text {
		case "true", "1":
			return 1, true
		case "false", "0":
			return 0, true
		}
		return 0, false
	case "UINT8", "UINT16", "UINT32", "UINT64":
		bits, err = strconv.ParseUint(text, 10, size)
	case "INT8", "INT16", "INT32", "INT64":
		var signed int64
		signed, err = strconv.ParseInt(text, 10, size)
		bits = uint64(signed)
	case "FP32", "FP64":
		return floatBits(text, size)
	default:
		return 0, false
	}
	return bits, err == nil
}

// unusual holds the floats that JSON has no number for, as protobuf's JSON mapping spells them.
var unusual = map[string]float64{`"NaN"`: math.NaN(), `"Infinity"`: math.Inf(1), `"-Infinity"`: math.Inf(-1)}

func floatBits(text string, size int) (bits uint64, fits bool) {
	float, fits := unusual[text]
	if !fits {
		if text[0] == '"' || text[0] == 'n' { // strconv reads "nan" as well; null is no number
			return 0, false
		}
		var err error
		if float, err = strconv.ParseFloat(text, size); err != nil {
			return 0, false
		}
	}
	if size == 32 {
		return uint64(math.Float32bits(float32(float))), true
	}
	return math.Float64bits(float), true
}
