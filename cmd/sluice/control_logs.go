package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"sluice/proto/gen/control"
	"sluice/store"
)

const (
	logChunkBytes   = 64 << 10
	logPollInterval = 250 * time.Millisecond
	logSuffix       = ".log"
)

// Logs reads the log files of a function's instances, those that ended included, in the order of their first lines' age.
func (s *controlServer) Logs(request *control.LogsRequest, stream control.Control_LogsServer) error {
	tenant := tenantOf(request.GetTenant())
	if _, _, err := store.Load[store.Function](stream.Context(), s.registry, store.FunctionRecord(tenant, request.GetFunction())); err != nil {
		return toStatus(err)
	}
	read := make(map[string]int64) // bytes sent of each file
	for {
		files, err := s.logFiles(tenant, request.GetFunction())
		if err != nil {
			return status.Errorf(codes.Internal, "listing logs: %v", err)
		}
		for _, file := range files {
			if read[file], err = sendLog(stream, file, read[file]); err != nil {
				return err
			}
		}
		if !request.GetFollow() {
			return nil
		}
		select {
		case <-stream.Context().Done():
			return nil
		case <-time.After(logPollInterval):
		}
	}
}

// logFiles lists a function's log files, oldest first.
func (s *controlServer) logFiles(tenant, function string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(s.logFolder, tenant, function, "*"+logSuffix))
	if err != nil {
		return nil, err
	}
	age := make(map[string]time.Time)
	for _, file := range files {
		info, err := os.Stat(file)
		if err == nil {
			age[file] = info.ModTime()
		}
	}
	slices.SortFunc(files, func(a, b string) int { return age[a].Compare(age[b]) })
	return files, nil
}

// sendLog sends a file from offset to its end and returns where it ended.
func sendLog(stream control.Control_LogsServer, path string, offset int64) (int64, error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return offset, nil
	}
	if err != nil {
		return offset, status.Errorf(codes.Internal, "opening a log: %v", err)
	}
	defer file.Close()
	instance := strings.TrimSuffix(filepath.Base(path), logSuffix)
	chunk := make([]byte, logChunkBytes)
	for {
		n, err := file.ReadAt(chunk, offset)
		if n > 0 {
			if err := stream.Send(&control.LogsResponse{Instance: instance, Text: chunk[:n]}); err != nil {
				return offset, err
			}
			offset += int64(n)
		}
		if errors.Is(err, io.EOF) {
			return offset, nil
		}
		if err != nil {
			return offset, status.Errorf(codes.Internal, "reading a log: %v", err)
		}
	}
}
