package runner

import (
	"context"
	"fmt"
	"math"
	"time"

	"sluice/batcher"
	"sluice/proto/gen/inference"
)

// call is one request on its way. Its lane's lock guards the fields below done.
type call struct {
	batcher.Request
	request *inference.ModelInferRequest
	bytes   int
	// ctx ends with the caller, or at the deadline, or about MaxDuration after the call came.
	ctx  context.Context
	done chan answer
	// kept is how much the client waits beyond Deadline, for the way back.
	kept time.Duration

	// batch is nil while the call is queued.
	batch     *batch
	abandoned bool
}

type answer struct {
	response *inference.ModelInferResponse
	err      error
	known    time.Time
}

// finish answers the caller, who reads once and may be gone.
func (c *call) finish(response *inference.ModelInferResponse, err error) {
	c.done <- answer{response, err, time.Now()}
}

// newCall makes a call of a request; cancel must be called when it is over.
func (l *lane) newCall(ctx context.Context, request *inference.ModelInferRequest) (*call, context.CancelFunc, error) {
	if len(request.GetRawInputContents()) != len(request.GetInputs()) {
		return nil, nil, fmt.Errorf("%w: %d inputs, but %d raw_input_contents", ErrRequest,
			len(request.GetInputs()), len(request.GetRawInputContents()))
	}
	c := &call{request: request, done: make(chan answer, 1)}
	c.ID, c.Size, c.Arrival = l.ids.Add(1), 1, l.runner.now()
	c.Priority = uint32(min(parameter(request, priorityParameter), math.MaxUint32))
	if l.route.Joins() {
		var err error
		if c.Size, c.ShapeClass, err = classify(request, l.route.Pad); err != nil {
			return nil, nil, err
		}
		if c.Size > l.route.MaxSize {
			return nil, nil, fmt.Errorf("%w: inputs have %d rows, the function's max_size is %d", ErrRequest, c.Size, l.route.MaxSize)
		}
	}
	for _, raw := range request.GetRawInputContents() {
		c.bytes += len(raw)
	}

	left := MaxDuration
	given := false
	if deadline, ok := ctx.Deadline(); ok {
		left, given = time.Until(deadline), true
	}
	if timeout := parameter(request, timeoutParameter); timeout > 0 && timeout < left.Microseconds() {
		left, given = time.Duration(timeout)*time.Microsecond, true
	}
	if slo := l.route.SLO; slo > 0 && slo < left {
		left, given = slo, true
	}
	wait := l.route.StartTimeout
	if given {
		c.kept = l.lag.of(left)
		wait = left - c.kept
	}
	c.Deadline = c.Arrival + int64(wait)
	var cancel context.CancelFunc
	if given {
		c.ctx, cancel = context.WithTimeout(ctx, left)
	} else {
		c.ctx, cancel = l.runner.horizon.bound(ctx)
	}
	return c, cancel, nil
}

// parameter returns a request's parameter that is a number, 0 where it is not there.
func parameter(request *inference.ModelInferRequest, name string) int64 {
	value := request.GetParameters()[name]
	if value == nil {
		return 0
	}
	return max(value.GetInt64Param(), int64(min(value.GetUint64Param(), 1<<62)))
}
