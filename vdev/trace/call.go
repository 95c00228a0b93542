// Package trace reads what the shim writes of a program's calls where SLUICE_TRACE names a file. The program could have
// written anything there itself, so every line is checked.
//
// A line is one call that has returned, ten fields with a blank between them:
//
//	process thread name status begin duration sent received waits wakes
//
// status is "-" where the call returns none; begin and duration are nanoseconds of the host's monotonic clock.
package trace

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"sluice/vdev/spec"
)

// Variable is the environment variable by which the shim finds its file: an absolute path, of a file that is there.
const Variable = "SLUICE_TRACE"

const (
	// LineMax is how long a line may be, in bytes.
	LineMax = 256

	fieldCount = 10
	// What a field may count: whole numbers that JSON's readers keep, and threads as Linux numbers them.
	numberMax = 1 << 53
	threadMax = 1 << 22
)

// ErrInvalid says that a line is not a call.
var ErrInvalid = errors.New("not a call's line")

// Call is one call of a program.
type Call struct {
	Process       int64   `json:"process"`
	Thread        int64   `json:"thread"`
	Name          string  `json:"call"`
	BeginUS       float64 `json:"begin_us"` // since the trace began
	DurationUS    float64 `json:"duration_us"`
	SentBytes     uint64  `json:"sent_bytes"`
	ReceivedBytes uint64  `json:"received_bytes"`
	Waits         uint64  `json:"waits"`  // how often it waited for the worker
	Wakes         uint64  `json:"wakes"`  // how often the worker slept and was woken
	Status        *int32  `json:"status"` // nil where the call returns none
}

// names are the calls that the shim may name.
var names = func() map[string]bool {
	known := make(map[string]bool)
	for _, call := range spec.OpenCL.Calls {
		if call.Version != "" {
			known[call.Name] = true
		}
	}
	return known
}()

// Parse reads a line without its end. The trace began at start, in nanoseconds of the monotonic clock.
func Parse(line string, start uint64) (Call, error) {
	fields := strings.Split(line, " ")
	if len(line) > LineMax || len(fields) != fieldCount {
		return Call{}, fmt.Errorf("%w: %d bytes, %d fields", ErrInvalid, len(line), len(fields))
	}
	if !names[fields[2]] {
		return Call{}, fmt.Errorf("%w: unknown name %.40q", ErrInvalid, fields[2])
	}
	var status *int32
	if fields[3] != "-" {
		value, err := strconv.ParseInt(fields[3], 10, 32)
		if err != nil {
			return Call{}, fmt.Errorf("%w: status %.40q", ErrInvalid, fields[3])
		}
		narrow := int32(value)
		status = &narrow
	}
	numbers := make([]uint64, fieldCount)
	for i, field := range fields {
		if i == 2 || i == 3 {
			continue
		}
		value, err := strconv.ParseUint(field, 10, 64)
		if err != nil || value > numberMax || i < 2 && value > threadMax {
			return Call{}, fmt.Errorf("%w: field %d is %.40q", ErrInvalid, i+1, field)
		}
		numbers[i] = value
	}
	if numbers[4] < start {
		return Call{}, fmt.Errorf("%w: it began before the trace", ErrInvalid)
	}
	return Call{
		Process: int64(numbers[0]), Thread: int64(numbers[1]), Name: fields[2], Status: status,
		BeginUS: microseconds(numbers[4] - start), DurationUS: microseconds(numbers[5]),
		SentBytes: numbers[6], ReceivedBytes: numbers[7], Waits: numbers[8], Wakes: numbers[9],
	}, nil
}

func microseconds(nanoseconds uint64) float64 { return float64(nanoseconds) / 1000 }
