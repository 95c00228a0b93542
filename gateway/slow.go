package gateway

import (
	"context"
	"net"
	"sync"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/tap"
	"google.golang.org/protobuf/proto"

	"sluice/gateway/intake"
)

// incoming is the context of a call whose request is on its way in.
type incoming struct {
	context.Context
	exchange *intake.Exchange
	settled  func() bool // the exchange ends with the call no more
}

type incomingKey struct{}

func (c *incoming) Value(key any) any {
	if key == (incomingKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// tap enters a call when its header has come.
func (s *Server) tap(ctx context.Context, _ *tap.Info) (context.Context, error) {
	ctx, cancel := context.WithCancel(ctx)
	exchange := s.intake.Begin(cancel)
	return &incoming{ctx, exchange, context.AfterFunc(ctx, exchange.End)}, nil
}

// arrived says that a call's request has come in whole, or, of a stream, that its beginning has.
func arrived(ctx context.Context) {
	if c, ok := ctx.Value(incomingKey{}).(*incoming); ok && c.settled() {
		c.exchange.End()
	}
}

// unary watches that a request comes in and its answer goes out.
func (s *Server) unary(ctx context.Context, request any, call *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (any, error) {
	arrived(ctx)
	response, err := handler(ctx, request)
	if message, ok := response.(proto.Message); ok && err == nil && proto.Size(message) > answerBytesUnwatched {
		s.watchAnswer(ctx)
	}
	return response, err
}

// stream lets a stream take as long as it likes as long as there is memory.
func (s *Server) stream(service any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handler grpc.StreamHandler) error {
	ctx := stream.Context()
	arrived(ctx)
	exchange := s.intake.BeginPatient(func() { s.connections.close(ctx) })
	defer exchange.End()
	return handler(service, stream)
}

// watchAnswer ends the connection of a client that does not read the answer to a call: with the call alone the answer would
// stay, since its end has to be sent too.
func (s *Server) watchAnswer(ctx context.Context) {
	exchange := s.intake.Begin(func() { s.connections.close(ctx) })
	context.AfterFunc(ctx, exchange.End)
}

// connections knows a listener's connections by their other end.
type connections struct {
	net.Listener
	open sync.Map // address to *connection
}

type connection struct {
	net.Conn
	of *connections
}

func (c *connections) Accept() (net.Conn, error) {
	accepted, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	one := &connection{accepted, c}
	c.open.Store(accepted.RemoteAddr().String(), one)
	return one, nil
}

func (c *connection) Close() error {
	c.of.open.CompareAndDelete(c.RemoteAddr().String(), c)
	return c.Conn.Close()
}

// close ends the connection of a call.
func (c *connections) close(ctx context.Context) {
	from, ok := peer.FromContext(ctx)
	if !ok {
		return
	}
	if one, ok := c.open.Load(from.Addr.String()); ok {
		// Nobody is left to hear of an error.
		_ = one.(*connection).Close()
	}
}
