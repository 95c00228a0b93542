// Package access decides who may call the control API and the broker's, and keeps a record of what they changed. There are
// two doors: the daemon's socket, for the operator, who may everything; and a TLS listener for tenants, each of whom calls
// with an API key and reaches what is its own.
package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"

	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"sluice/store"
	"sluice/store/directory"
)

// What a connection of the tenants' door may do.
const (
	maxStreams     = 64
	maxHeaderBytes = 16 << 10
	callsPerSecond = 20 // of one tenant
	callsBurst     = 200
)

const (
	authorization = "authorization"
	bearer        = "bearer "
)

// errNoKey is the answer to whoever shows no key that opens anything, whatever the reason.
var errNoKey = status.Error(codes.Unauthenticated, "no valid API key: send one as metadata authorization: Bearer <key>")

// Caller is who made a call.
type Caller struct {
	Name   string // for the record
	Tenant string // empty: the operator
}

type callerKey struct{}

// CallerOf gives who made a call that one of the doors let in.
func CallerOf(ctx context.Context) Caller {
	caller, _ := ctx.Value(callerKey{}).(Caller)
	return caller
}

// door lets calls in.
type door struct {
	audit *Audit
	log   *slog.Logger
	// caller finds out who is calling, or gives the error to answer with.
	caller func(ctx context.Context) (Caller, error)
}

// Operator gives the options of the server on the daemon's socket, which the operator alone may open.
func Operator(audit *Audit, log *slog.Logger) []grpc.ServerOption {
	d := &door{audit, log, func(ctx context.Context) (Caller, error) {
		from, _ := peer.FromContext(ctx)
		if process, ok := from.AuthInfo.(processInfo); ok {
			return Caller{Name: fmt.Sprintf("uid %d, pid %d", process.uid, process.pid)}, nil
		}
		return Caller{Name: "unknown process"}, nil
	}}
	return d.options(processCredentials{})
}

// Tenants gives the options of the server of the tenants' door.
func Tenants(known *directory.Directory, secured credentials.TransportCredentials, audit *Audit, log *slog.Logger) []grpc.ServerOption {
	var limiters sync.Map // tenant's name to *rate.Limiter
	d := &door{audit, log, func(ctx context.Context) (Caller, error) {
		found, err := known.Authenticate(keyOf(ctx))
		if errors.Is(err, store.ErrNotFound) {
			return Caller{}, errNoKey
		}
		if err != nil {
			return Caller{}, status.Error(codes.Internal, "internal error")
		}
		name := found.Tenant.Name
		limiter, _ := limiters.LoadOrStore(name, rate.NewLimiter(callsPerSecond, callsBurst))
		if !limiter.(*rate.Limiter).Allow() {
			return Caller{}, status.Errorf(codes.ResourceExhausted, "more than %d control calls a second", callsPerSecond)
		}
		caller := Caller{Name: fmt.Sprintf("tenant %s, key %s", name, found.KeyID), Tenant: name}
		if from, ok := peer.FromContext(ctx); ok {
			caller.Name += ", " + from.Addr.String()
		}
		return caller, nil
	}}
	return append(d.options(secured), grpc.MaxConcurrentStreams(maxStreams), grpc.MaxHeaderListSize(maxHeaderBytes))
}

// keyOf is the API key that a call carries; empty where there is not exactly one.
func keyOf(ctx context.Context) string {
	values := metadata.ValueFromIncomingContext(ctx, authorization)
	if len(values) != 1 || len(values[0]) < len(bearer) || !strings.EqualFold(values[0][:len(bearer)], bearer) {
		return ""
	}
	return strings.TrimSpace(values[0][len(bearer):])
}

func (d *door) options(secured credentials.TransportCredentials) []grpc.ServerOption {
	return []grpc.ServerOption{grpc.Creds(secured), grpc.UnaryInterceptor(d.unary), grpc.StreamInterceptor(d.stream)}
}

func (d *door) unary(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	caller, err := d.enter(ctx, info.FullMethod)
	if err != nil {
		return nil, err
	}
	var response any
	if err = scope(caller, request); err == nil {
		response, err = handler(context.WithValue(ctx, callerKey{}, caller), request)
	}
	if err := errors.Join(err, d.record(caller, info.FullMethod, request, err)); err != nil {
		return nil, oneStatus(err)
	}
	return response, nil
}

func (d *door) stream(service any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	caller, err := d.enter(stream.Context(), info.FullMethod)
	if err != nil {
		return err
	}
	s := &scopedStream{ServerStream: stream, ctx: context.WithValue(stream.Context(), callerKey{}, caller), caller: caller}
	err = handler(service, s)
	return oneStatus(errors.Join(err, d.record(caller, info.FullMethod, s.first, err)))
}

// enter finds out who is calling and whether they may call this.
func (d *door) enter(ctx context.Context, method string) (Caller, error) {
	caller, err := d.caller(ctx)
	if err != nil {
		return Caller{}, err
	}
	r := ruleOf(method)
	if caller.Tenant != "" && !r.tenants {
		err = status.Error(codes.PermissionDenied, "the operator alone may do this, on the daemon's machine")
		return Caller{}, oneStatus(errors.Join(err, d.record(caller, method, nil, err)))
	}
	if r.changes {
		if err := d.audit.Check(); err != nil {
			d.log.Error("nothing can be changed: the audit log cannot be written", "error", err)
			return Caller{}, status.Error(codes.Unavailable, "the audit log cannot be written")
		}
	}
	return caller, nil
}

// record notes what was changed, or tried.
func (d *door) record(caller Caller, method string, request any, outcome error) error {
	if !ruleOf(method).changes {
		return nil
	}
	if err := d.audit.add(caller, method, request, outcome); err != nil {
		d.log.Error("a change is not in the audit log", "caller", caller.Name, "method", method, "error", err)
		return status.Error(codes.Internal, "the change could not be recorded")
	}
	return nil
}

// oneStatus is the first status among joined errors.
func oneStatus(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok && len(joined.Unwrap()) > 0 {
		return joined.Unwrap()[0]
	}
	return err
}
