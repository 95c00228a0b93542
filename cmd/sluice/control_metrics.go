package main

import (
	"bytes"
	"context"
	"slices"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sluice/proto/gen/control"
)

// tenantLabel says whose a metric is.
const tenantLabel = "tenant"

// Metrics tells what /metrics serves, or what of it is a tenant's.
func (s *controlServer) Metrics(_ context.Context, request *control.MetricsRequest) (*control.MetricsResponse, error) {
	families, err := s.metrics.Gather()
	if err != nil {
		return nil, status.Errorf(codes.Internal, "gathering metrics: %v", err)
	}
	var text bytes.Buffer
	encoder := expfmt.NewEncoder(&text, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, family := range families {
		if tenant := request.GetTenant(); tenant != "" {
			family.Metric = slices.DeleteFunc(family.Metric, func(m *dto.Metric) bool { return !isTenants(m, tenant) })
		}
		if len(family.GetMetric()) == 0 {
			continue
		}
		if err := encoder.Encode(family); err != nil {
			return nil, status.Errorf(codes.Internal, "writing metric %s: %v", family.GetName(), err)
		}
	}
	return &control.MetricsResponse{Text: text.Bytes()}, nil
}

func isTenants(metric *dto.Metric, tenant string) bool {
	return slices.ContainsFunc(metric.GetLabel(), func(label *dto.LabelPair) bool {
		return label.GetName() == tenantLabel && label.GetValue() == tenant
	})
}
