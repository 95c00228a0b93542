package trace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Reader takes calls from a trace that may still grow. It is no goroutine's but the caller's.
type Reader struct {
	from  io.Reader
	start uint64

	rest     []byte // of a line whose end has not come; no longer than LineMax
	overlong bool   // the line's beginning was thrown away
	rejected uint64
	first    error // why the first line was rejected
}

// NewReader reads a trace that began at start, in nanoseconds of the monotonic clock.
func NewReader(from io.Reader, start uint64) *Reader {
	return &Reader{from: from, start: start}
}

// Read gives each call that is there to each, until the trace has no more for now or most bytes are read. It returns how
// many were.
func (r *Reader) Read(most int64, each func(Call)) (int64, error) {
	var total int64
	chunk := make([]byte, 64<<10)
	for total < most {
		n, err := r.from.Read(chunk[:min(int64(len(chunk)), most-total)])
		total += int64(n)
		r.take(chunk[:n], each)
		if errors.Is(err, io.EOF) || err == nil && n == 0 {
			return total, nil
		}
		if err != nil {
			return total, fmt.Errorf("reading the trace: %w", err)
		}
	}
	return total, nil
}

// Rejected says how many lines were no calls, the last one without an end among them, and why the first was not.
func (r *Reader) Rejected() (uint64, error) {
	if len(r.rest) > 0 || r.overlong {
		return r.rejected + 1, errors.Join(r.first, fmt.Errorf("%w: the last one has no end", ErrInvalid))
	}
	return r.rejected, r.first
}

func (r *Reader) take(chunk []byte, each func(Call)) {
	for {
		line, rest, ended := bytes.Cut(chunk, []byte("\n"))
		if room := LineMax - len(r.rest); len(line) > room {
			r.overlong = true
			line = line[:room]
		}
		r.rest = append(r.rest, line...)
		if !ended {
			return
		}
		r.end(each)
		chunk = rest
	}
}

// end ends a line.
func (r *Reader) end(each func(Call)) {
	call, err := Parse(string(r.rest), r.start)
	if r.overlong {
		err = fmt.Errorf("%w: longer than %d bytes", ErrInvalid, LineMax)
	}
	r.rest, r.overlong = r.rest[:0], false
	if err == nil {
		each(call)
		return
	}
	r.rejected++
	if r.first == nil {
		r.first = err
	}
}
