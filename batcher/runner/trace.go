package runner

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/metadata"
)

// Names of the spans: a request's time in the queue and in the function, and the call of a whole batch to the function.
const (
	spanQueue = "queue"
	spanInfer = "infer"
	spanBatch = "batch"
)

// traced is the spans of a batch; nil where nothing is traced.
type traced struct {
	batch   trace.Span
	members []trace.Span // of the calls but the first, whose trace the batch's span is in
}

// traceBatch ends the queue's spans of the calls of a batch and begins those of its run. The batch's span is a child of the first
// call's, and linked with the others'; ctx carries it to the function (W3C trace context).
func (l *lane) traceBatch(ctx context.Context, b *batch) (context.Context, *traced) {
	tracer := l.runner.tracer
	if tracer == nil {
		return ctx, nil
	}
	dispatched := l.runner.epoch.Add(time.Duration(b.dispatched))
	links := make([]trace.Link, 0, len(b.calls)-1)
	for i, c := range b.calls {
		_, queued := tracer.Start(c.ctx, spanQueue, trace.WithTimestamp(l.runner.epoch.Add(time.Duration(c.Arrival))))
		queued.End(trace.WithTimestamp(dispatched))
		if i > 0 {
			links = append(links, trace.LinkFromContext(c.ctx))
		}
	}
	parent := trace.ContextWithSpanContext(ctx, trace.SpanContextFromContext(b.calls[0].ctx))
	ctx, span := tracer.Start(parent, spanBatch,
		trace.WithSpanKind(trace.SpanKindClient), trace.WithLinks(links...), trace.WithAttributes(
			attribute.String("sluice.tenant", l.key.Tenant), attribute.String("sluice.function", l.key.Function),
			attribute.String("sluice.version", l.key.Version), attribute.String("sluice.instance", b.endpoint.Instance),
			attribute.String("sluice.batch.cause", string(b.Cause)), attribute.Int("sluice.batch.rows", b.Size),
			attribute.Int("sluice.batch.requests", len(b.calls)),
		))
	t := &traced{batch: span}
	link := trace.WithLinks(trace.Link{SpanContext: span.SpanContext()})
	for _, c := range b.calls[1:] {
		_, member := tracer.Start(c.ctx, spanInfer, link)
		t.members = append(t.members, member)
	}
	carrier := make(propagation.MapCarrier)
	propagation.TraceContext{}.Inject(ctx, carrier)
	for name, value := range carrier {
		ctx = metadata.AppendToOutgoingContext(ctx, name, value)
	}
	return ctx, t
}

// end says how the call to the function went.
func (t *traced) end(err error) {
	if t == nil {
		return
	}
	for _, span := range append(t.members, t.batch) {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
}
