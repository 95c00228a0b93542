package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sluice/proto/gen/control"
	"sluice/runtime/image"
)

// importImage hands an archive to the sandbox's image store and returns the image's name there.
type importImage func(ctx context.Context, archive io.Reader) (string, error)

// ImportImage passes the archive on as it comes.
func (s *controlServer) ImportImage(stream control.Control_ImportImageServer) error {
	if s.importImage == nil {
		return status.Error(codes.Unimplemented, "the process sandbox runs no images: give function.yaml a command instead, "+
			"or start the daemon with --sandbox containerd")
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	name, err := image.Name(first.GetName())
	if err != nil {
		return toStatus(err)
	}
	imported, err := s.importImage(stream.Context(), &chunkReader{stream: stream, rest: first.GetChunk()})
	if err != nil {
		return toStatus(err)
	}
	if imported != name {
		return status.Errorf(codes.InvalidArgument, "the archive holds %s, not %s", imported, name)
	}
	s.log.Info("image imported", "image", name)
	return stream.SendAndClose(&control.ImportImageResponse{Name: name})
}

// chunkReader reads the chunks of a stream as one text.
type chunkReader struct {
	stream control.Control_ImportImageServer
	rest   []byte
}

func (r *chunkReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		message, err := r.stream.Recv()
		if errors.Is(err, io.EOF) {
			return 0, io.EOF
		}
		if err != nil {
			return 0, fmt.Errorf("receiving the image: %w", err)
		}
		r.rest = message.GetChunk()
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}
