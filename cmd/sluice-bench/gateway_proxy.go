package main

import (
	"context"
	"fmt"
	"io"
	"net"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/status"
)

// passed is a message that the proxy does not look into.
type passed struct{ data mem.BufferSlice }

// passing is the codec that leaves messages as they are.
type passing struct{}

func (passing) Name() string { return "proto" }

func (passing) Marshal(v any) (mem.BufferSlice, error) { return v.(*passed).data, nil }

func (passing) Unmarshal(data mem.BufferSlice, v any) error {
	data.Ref() // freed when it has been sent on
	v.(*passed).data = data
	return nil
}

// serveProxy passes every unary call on to target until ctx ends, and writes its address to out: the least that a proxy
// made with grpc-go does.
func serveProxy(ctx context.Context, target string, out io.Writer) error {
	connection, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("connecting the proxy: %w", err)
	}
	defer connection.Close()
	server := grpc.NewServer(grpc.ForceServerCodecV2(passing{}), grpc.UnknownServiceHandler(func(_ any, stream grpc.ServerStream) error {
		method, ok := grpc.MethodFromServerStream(stream)
		if !ok {
			return status.Error(codes.Internal, "a call without a method")
		}
		var request, response passed
		if err := stream.RecvMsg(&request); err != nil {
			return err
		}
		if err := connection.Invoke(stream.Context(), method, &request, &response, grpc.ForceCodecV2(passing{})); err != nil {
			return err
		}
		return stream.SendMsg(&response)
	}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listening as the proxy: %w", err)
	}
	stop := context.AfterFunc(ctx, server.Stop)
	defer stop()
	if _, err := fmt.Fprintln(out, listener.Addr()); err != nil {
		return fmt.Errorf("telling the proxy's address: %w", err)
	}
	return server.Serve(listener)
}
