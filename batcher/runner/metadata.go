package runner

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"sluice/proto/gen/inference"
)

// Metadata returns what the function says about its tensors, under the Key's name and version. It is asked once; where
// no Instance runs, one is started for it, as a request would. Errors as of Infer.
func (r *Runner) Metadata(ctx context.Context, key Key) (*inference.ModelMetadataResponse, error) {
	l, err := r.lane(key)
	if err != nil {
		return nil, err
	}
	if known := l.cached.Load(); known != nil {
		return known, nil
	}
	ctx, cancel := context.WithTimeout(ctx, l.route.StartTimeout)
	defer cancel()
	e, err := l.borrow(ctx)
	if err != nil {
		return nil, err
	}
	told, err := e.client.ModelMetadata(ctx, &inference.ModelMetadataRequest{Name: key.Function}, grpc.MaxCallRecvMsgSize(MaxMetadataBytes))
	gone := lost(ctx, err)
	l.update(nil, func() {
		if gone && !e.removed {
			l.drop(e)
			l.failed = append(l.failed, failure{e.Instance, err})
		}
		e.release()
	})
	switch {
	case ctx.Err() != nil:
		return nil, ended(ctx, false)
	case gone:
		return nil, fmt.Errorf("%w: instance %s does not answer", ErrUnavailable, e.Instance)
	case err != nil:
		return nil, fmt.Errorf("function %s: %w", key.Function, err)
	}
	known := proto.CloneOf(told)
	known.Name, known.Versions = key.Function, []string{key.Version}
	l.cached.Store(known)
	return known, nil
}

// borrow waits for an endpoint and counts as its user until release. Waiting is demand.
func (l *lane) borrow(ctx context.Context) (e *endpoint, err error) {
	for {
		var waiter chan error
		l.update(nil, func() {
			switch {
			case l.closed != nil:
				err = l.closed
			case len(l.endpoints) > 0:
				e = l.endpoints[0]
				e.users++
			default:
				waiter = make(chan error, 1)
				l.waiters[waiter] = struct{}{}
			}
		})
		if waiter == nil {
			return e, err
		}
		select {
		case err = <-waiter:
			if err != nil {
				return nil, err
			}
		case <-ctx.Done():
			l.update(nil, func() { delete(l.waiters, waiter) })
			return nil, ended(ctx, false)
		}
	}
}
