package main

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sluice/batcher/simulator"
	"sluice/proto/gen/inference"
)

// warmUpConnections is how many requests of the closed loop are under way at once: two full batches.
const warmUpConnections = 64

// liveRequest is a subject's rows, of zeros.
func liveRequest(s subject) *inference.ModelInferRequest {
	width := mlpWidth
	if s.model == modelLinear {
		width = linearWidth
	}
	rows := max(s.rows, 1)
	return &inference.ModelInferRequest{
		ModelName: s.name(),
		Inputs: []*inference.ModelInferRequest_InferInputTensor{
			{Name: "INPUT", Datatype: "FP32", Shape: []int64{int64(rows), int64(width)}},
		},
		RawInputContents: [][]byte{make([]byte, 4*rows*width)},
	}
}

// mlpWidth is the width of examples/mlp.
const mlpWidth = 2048

// closedLoop keeps a number of requests without deadline under way, twice as long as is measured; it returns how many were
// answered in a second of the second half.
func closedLoop(ctx context.Context, door client, s subject, connections int, duration time.Duration) (rate float64, err error) {
	begun := time.Now()
	var answered atomic.Int64
	var group errgroup.Group
	for range connections {
		group.Go(func() error {
			for time.Since(begun) < 2*duration {
				if _, err := door.ModelInfer(ctx, liveRequest(s)); err != nil {
					return fmt.Errorf("asking %s: %w", s.name(), err)
				}
				if time.Since(begun) > duration {
					answered.Add(1)
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	return float64(answered.Load()) / (time.Since(begun) - duration).Seconds(), nil
}

// openLoop sends requests as a process has them arrive and returns how many in a second were answered on time. A request
// that is sent late by this program still has to be answered within the SLO after its arrival.
func (b *liveBench) openLoop(ctx context.Context, door client, s subject, process simulator.Process, rate float64, seed uint64) (float64, error) {
	count := int(rate * b.duration.Seconds())
	arrivals := process.Draw(seed, rate/1e9, count, int64(b.slo))
	var onTime atomic.Int64
	var group errgroup.Group
	request := liveRequest(s)
	begun := time.Now()
	for _, arrival := range arrivals {
		time.Sleep(time.Until(begun.Add(time.Duration(arrival.At))))
		deadline := begun.Add(time.Duration(arrival.Deadline))
		group.Go(func() error {
			ctx, cancel := context.WithDeadline(ctx, deadline)
			defer cancel()
			_, err := door.ModelInfer(ctx, request)
			if err == nil && time.Now().Before(deadline) {
				onTime.Add(1)
			}
			switch status.Code(err) {
			case codes.OK, codes.DeadlineExceeded, codes.ResourceExhausted:
				return nil
			}
			return fmt.Errorf("asking %s: %w", s.name(), err)
		})
	}
	if err := group.Wait(); err != nil {
		return 0, err
	}
	took := time.Duration(arrivals[len(arrivals)-1].At)
	return float64(onTime.Load()) / took.Seconds(), nil
}
