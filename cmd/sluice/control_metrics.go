package main

import (
	"bytes"
	"context"

	"github.com/prometheus/common/expfmt"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sluice/proto/gen/control"
)

// Metrics tells what /metrics serves.
func (s *controlServer) Metrics(context.Context, *control.MetricsRequest) (*control.MetricsResponse, error) {
	families, err := s.metrics.Gather()
	if err != nil {
		return nil, status.Errorf(codes.Internal, "gathering metrics: %v", err)
	}
	var text bytes.Buffer
	encoder := expfmt.NewEncoder(&text, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			return nil, status.Errorf(codes.Internal, "writing metric %s: %v", family.GetName(), err)
		}
	}
	return &control.MetricsResponse{Text: text.Bytes()}, nil
}
