package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"sluice/proto/gen/control"
	"sluice/runtime/image"
)

// imageChunkBytes stays below gRPC's default message limit.
const imageChunkBytes = 1 << 20

func newImageCommand(g *globals) *cobra.Command {
	command := &cobra.Command{Use: "image", Short: "Make container images of programs, or pull them from a registry"}
	command.AddCommand(newImageBuildCommand(g), newImagePullCommand(g))
	return command
}

func newImageBuildCommand(g *globals) *cobra.Command {
	var name, file string
	build := &cobra.Command{
		Use:   "build FOLDER [-t NAME]",
		Short: "Make an image of a folder with a built program, and hand it to the daemon",
		Long: "Makes an OCI image of a folder with a built program: the folder's files, the libraries that its program links, and the\n" +
			"loader. The daemon imports it under NAME, which function.yaml's `image` then names.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			folder, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			if name == "" {
				name = strings.ToLower(filepath.Base(folder))
			}
			full, err := image.Name(name)
			if err != nil {
				return err
			}
			if file != "" {
				return buildToFile(cmd.Context(), folder, full, file)
			}
			return withControl(cmd.Context(), g, func(ctx context.Context, client control.ControlClient) error {
				imported, err := buildAndImport(ctx, cmd.ErrOrStderr(), client, folder, full)
				if err == nil {
					fmt.Fprintf(cmd.OutOrStdout(), "imported %s\n", imported)
				}
				return err
			})
		},
	}
	build.Flags().StringVarP(&name, "tag", "t", "", "the image's name; empty for the folder's, with the tag latest")
	build.Flags().StringVar(&file, "archive", "", "write the OCI archive to this file instead")
	return build
}

func buildToFile(ctx context.Context, folder, name, path string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	err = errors.Join(image.Build(ctx, folder, name, file), file.Close())
	if err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// buildAndImport sends the archive as it is made.
func buildAndImport(ctx context.Context, progress io.Writer, client control.ControlClient, folder, name string) (string, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := client.ImportImage(ctx)
	if err != nil {
		return "", err
	}
	if err := stream.Send(&control.ImportImageRequest{Name: name}); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	var sent atomic.Int64
	stop := showProgress(progress, func(took time.Duration) string {
		return fmt.Sprintf("importing %s: %s, %s", name, formatBytes(uint64(sent.Load())), took)
	})
	defer stop()
	if err := image.Build(ctx, folder, name, chunkWriter{stream, &sent}); err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	response, err := stream.CloseAndRecv() // also says why the daemon ended the stream early
	if err != nil {
		return "", callError{"importing " + name, err}
	}
	return response.GetName(), nil
}

// chunkWriter sends what is written in messages of at most imageChunkBytes. io.EOF means that the daemon stopped reading.
type chunkWriter struct {
	stream control.Control_ImportImageClient
	sent   *atomic.Int64
}

func (w chunkWriter) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		n := min(len(p)-written, imageChunkBytes)
		if err := w.stream.Send(&control.ImportImageRequest{Chunk: p[written : written+n]}); err != nil {
			return written, err
		}
		written += n
		w.sent.Add(int64(n))
	}
	return written, nil
}
