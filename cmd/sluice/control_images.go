package main

import (
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sluice/proto/gen/control"
	"sluice/runtime/image"
)

// errNoImages is for a daemon whose sandbox runs no images.
var errNoImages = status.Error(codes.Unimplemented, "the process sandbox runs no images: give function.yaml a command instead, "+
	"or start the daemon with --sandbox containerd")

// ImportImage passes the archive on as it comes.
func (s *controlServer) ImportImage(stream control.Control_ImportImageServer) error {
	if s.images == nil {
		return errNoImages
	}
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	name, err := image.Name(first.GetName())
	if err != nil {
		return toStatus(err)
	}
	imported, err := s.images.load(stream.Context(), &chunkReader{stream: stream, rest: first.GetChunk()})
	if err != nil {
		return toStatus(err)
	}
	if imported != name {
		return status.Errorf(codes.InvalidArgument, "the archive holds %s, not %s", imported, name)
	}
	s.log.Info("image imported", "image", name)
	return stream.SendAndClose(&control.ImportImageResponse{Name: name})
}

// PullImage sends how far the pull is as often as package image tells.
func (s *controlServer) PullImage(request *control.PullImageRequest, stream control.Control_PullImageServer) error {
	if s.images == nil {
		return errNoImages
	}
	name, err := s.images.pull(stream.Context(), image.Source{
		Name: request.GetName(), Username: request.GetUsername(), Password: request.GetPassword(), PlainHTTP: request.GetPlainHttp(),
		Progress: func(doneBytes, totalBytes int64) {
			// A caller that has left ends the stream's context, and with it the pull.
			_ = stream.Send(&control.PullImageResponse{DoneBytes: doneBytes, TotalBytes: totalBytes})
		},
	})
	if err != nil {
		return toStatus(err)
	}
	s.log.Info("image pulled", "image", name)
	return stream.Send(&control.PullImageResponse{Name: name})
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
