package gateway

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"

	"sluice/batcher/runner"
)

// Metadata of W3C's trace context.
const (
	traceParentHeader = "traceparent"
	traceStateHeader  = "tracestate"
)

// carrier reads metadata.
type carrier metadata.MD

func (c carrier) Get(name string) string {
	if values := metadata.MD(c).Get(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

func (carrier) Set(string, string) {}

func (c carrier) Keys() []string {
	names := make([]string, 0, len(c))
	for name := range c {
		names = append(names, name)
	}
	return names
}

// trace begins the span of a request, in its client's trace if it has one. end says what the request was, and how it went.
func (s *service) trace(ctx context.Context) (_ context.Context, end func(key runner.Key, id string, err error)) {
	if s.Tracer == nil {
		return ctx, func(runner.Key, string, error) {}
	}
	md, _ := metadata.FromIncomingContext(ctx)
	ctx = propagation.TraceContext{}.Extract(ctx, carrier(md))
	ctx, span := s.Tracer.Start(ctx, "ModelInfer", trace.WithSpanKind(trace.SpanKindServer))
	return ctx, func(key runner.Key, id string, err error) {
		span.SetAttributes(
			attribute.String("sluice.tenant", key.Tenant), attribute.String("sluice.function", key.Function),
			attribute.String("sluice.version", key.Version), attribute.String("sluice.request_id", id),
		)
		if err != nil {
			answer := statusOf(err)
			span.SetAttributes(attribute.String("rpc.response.status_code", answer.Code().String()))
			span.SetStatus(codes.Error, answer.Message())
		}
		span.End()
	}
}
