package runner

import (
	"context"
	"fmt"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"

	"sluice/batcher"
	"sluice/proto/gen/inference"
)

// RequestIDHeader is the metadata that carries the requests' ids to the function, once per request, where several were
// joined. One alone carries its id itself.
const RequestIDHeader = "sluice-request-id"

// maxRequestIDBytes bounds the ids that go with a Batch: servers refuse metadata of more than 8 KiB. Those beyond it
// are left out.
const maxRequestIDBytes = 4096

// batch is a Batch on its way, with the endpoint that runs it.
type batch struct {
	batcher.Batch
	calls      []*call
	endpoint   *endpoint
	dispatched int64
	ctx        context.Context
	cancel     context.CancelFunc
	// present counts callers that still wait. Its lane's lock guards it.
	present int
	// alone is the nanoseconds that it held its slot, or would have if no other lane had had the device.
	alone int64
	// contended says that others wait for a device that the batch has left.
	contended bool
}

// dispatch takes the calls of a Batch out of the queue and gives them a slot: of an endpoint whose devices nobody else has,
// of the one with most slots. Its context is that of its first caller, until detach.
func (l *lane) dispatch(formed batcher.Batch, now int64) *batch {
	b := &batch{Batch: formed, calls: make([]*call, len(formed.Requests)), dispatched: now, present: len(formed.Requests)}
	for i, id := range formed.Requests {
		b.calls[i] = l.take(id)
		b.calls[i].batch = b
	}
	b.endpoint = l.choose(now)
	b.endpoint.busy++
	b.endpoint.users++
	for _, d := range b.endpoint.devices {
		d.turns.Begin(l.name, formed.ID, now, formed.Expected)
	}
	l.inFlight += len(b.calls)
	b.ctx, b.cancel = b.calls[0].ctx, func() {}
	return b
}

// choose finds the endpoint for a Batch, of which there is one with a free slot.
func (l *lane) choose(now int64) (chosen *endpoint) {
	var held bool
	for _, e := range l.endpoints {
		if e.free() == 0 {
			continue
		}
		others := e.share(l, now).Until > now
		if chosen == nil || held && !others || held == others && e.free() > chosen.free() {
			chosen, held = e, others
		}
	}
	return chosen
}

// outgoing is the context of the call to the function, with the metadata that goes with the batch.
func (b *batch) outgoing() context.Context {
	if len(b.calls) == 1 {
		return b.ctx
	}
	ids := make([]string, 0, len(b.calls))
	length := 0
	for _, c := range b.calls {
		id := c.request.GetId()
		if length += len(id); id != "" && length <= maxRequestIDBytes {
			ids = append(ids, id)
		}
	}
	return metadata.NewOutgoingContext(b.ctx, metadata.MD{RequestIDHeader: ids})
}

// detach gives a batch a context that does not end with one of its callers but with the last of them, or when the
// last of their deadlines passes.
func (b *batch) detach(parent context.Context) {
	var last time.Time
	for _, c := range b.calls {
		deadline, ok := c.ctx.Deadline()
		if !ok {
			deadline = time.Now().Add(MaxDuration)
		}
		if deadline.After(last) {
			last = deadline
		}
	}
	b.ctx, b.cancel = context.WithDeadline(parent, last)
}

// leave notes that a caller is gone; with the last one the function's work is in vain.
func (b *batch) leave() {
	if b.present--; b.present == 0 {
		b.cancel()
	}
}

// run sends a batch to its function, frees its slot and answers its callers.
func (l *lane) run(b *batch) {
	defer b.cancel()
	begun := time.Now()
	members := make([]*inference.ModelInferRequest, len(b.calls))
	rows := make([]int, len(b.calls))
	for i, c := range b.calls {
		members[i], rows[i] = c.request, c.Size
	}
	request, err := join(l.key.Function, members, l.route.Pad)
	sent := time.Now()
	var server peer.Peer
	var response *inference.ModelInferResponse
	if err == nil {
		ctx, spans := l.traceBatch(b.outgoing(), b)
		response, err = b.endpoint.client.ModelInfer(ctx, request, grpc.Peer(&server))
		spans.end(err)
	}
	received := time.Now()

	gone := lost(b.ctx, err)
	// Without a peer no stream was ever opened: the function has seen nothing of it.
	again := gone && server.Addr == nil
	l.update(nil, func() { l.settle(b, err, gone, again) })
	if b.contended {
		l.nextTurns(b.endpoint)
	}
	if gone {
		l.runner.log.Warn("endpoint lost", "key", l.key.String(), "instance", b.endpoint.Instance, "error", err)
	}
	if again {
		return
	}
	answers, err := l.answers(b, response, rows, err)
	l.observe(b, err, sent.Sub(begun), received.Sub(sent), time.Since(received))
	for i, c := range b.calls {
		if err != nil {
			c.finish(nil, err)
		} else {
			c.finish(answers[i], nil)
		}
	}
}

// settle takes the end of a batch into the lane's state.
func (l *lane) settle(b *batch, err error, gone, again bool) {
	now := l.runner.now()
	b.endpoint.busy--
	l.inFlight -= len(b.calls)
	b.alone = now - b.dispatched
	b.leaveDevices(l, now)
	l.policy.Complete(batcher.Completion{
		Batch: b.ID, ShapeClass: b.ShapeClass, Size: b.Size, Duration: b.alone, Failed: err != nil,
	})
	l.deferring = b.contended
	if gone && !b.endpoint.removed {
		l.drop(b.endpoint)
		l.failed = append(l.failed, failure{b.endpoint.Instance, err})
	}
	b.endpoint.release()
	if !again {
		return
	}
	for _, c := range b.calls {
		switch {
		case c.abandoned:
		case l.closed != nil:
			c.finish(nil, l.closed)
		default:
			l.put(c)
		}
	}
}

// answers makes the members' answers of what the function said.
func (l *lane) answers(b *batch, response *inference.ModelInferResponse, rows []int, err error) ([]*inference.ModelInferResponse, error) {
	switch {
	case err == nil && l.route.Joins():
		return l.split(b, response, rows)
	case err == nil:
		return pass(response)
	case over(b.ctx):
		return nil, ended(b.ctx, true)
	case lost(b.ctx, err):
		return nil, fmt.Errorf("%w: instance %s ended while it had the request", ErrUnavailable, b.endpoint.Instance)
	}
	return nil, fmt.Errorf("function %s: %w", l.key.Function, err)
}

// split is split, and cuts what was padded.
func (l *lane) split(b *batch, response *inference.ModelInferResponse, rows []int) ([]*inference.ModelInferResponse, error) {
	answers, err := split(response, rows)
	if err != nil || len(l.route.Pad) == 0 {
		return answers, err
	}
	for i, c := range b.calls {
		length := paddedLength(c.request, l.route.Pad)
		if length == 0 {
			continue
		}
		if err := cutPadded(answers[i], l.route.Pad, length); err != nil {
			return nil, err
		}
	}
	return answers, nil
}
