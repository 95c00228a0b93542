package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"sluice/proto/gen/control"
)

// passwordBytesMax bounds what --password-stdin reads.
const passwordBytesMax = 64 << 10

func newImagePullCommand(g *globals) *cobra.Command {
	request := &control.PullImageRequest{}
	var passwordStdin bool
	command := &cobra.Command{
		Use:   "pull NAME",
		Short: "Have the daemon fetch an image from its registry",
		Long: "Has the daemon fetch an image from its registry, such as registry.example:5000/digits:v1; function.yaml's `image` then\n" +
			"names it in the same way. A name without a registry's host is of Docker Hub. A registry at a loopback address is\n" +
			"spoken to without TLS.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request.Name = args[0]
			if passwordStdin {
				text, err := io.ReadAll(io.LimitReader(cmd.InOrStdin(), passwordBytesMax))
				if err != nil {
					return fmt.Errorf("reading the password: %w", err)
				}
				request.Password = strings.TrimRight(string(text), "\r\n")
			}
			return withControl(cmd.Context(), g, func(ctx context.Context, client control.ControlClient) error {
				name, err := pullImage(ctx, cmd.ErrOrStderr(), client, request)
				if err == nil {
					fmt.Fprintf(cmd.OutOrStdout(), "pulled %s\n", name)
				}
				return err
			})
		},
	}
	flags := command.Flags()
	flags.StringVar(&request.Username, "username", "", "an account at the registry")
	flags.BoolVar(&passwordStdin, "password-stdin", false, "read the account's password from standard input")
	flags.BoolVar(&request.PlainHttp, "plain-http", false, "the registry speaks no TLS")
	return command
}

func pullImage(ctx context.Context, progress io.Writer, client control.ControlClient, request *control.PullImageRequest) (string, error) {
	var done, total atomic.Int64
	stop := showProgress(progress, func(took time.Duration) string {
		return fmt.Sprintf("pulling %s: %s, %s", request.GetName(), formatShare(done.Load(), total.Load()), took)
	})
	defer stop()
	stream, err := client.PullImage(ctx, request)
	if err != nil {
		return "", err
	}
	for name := ""; ; {
		response, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return name, nil
		}
		if err != nil {
			return "", callError{"pulling " + request.GetName(), err}
		}
		done.Store(response.GetDoneBytes())
		total.Store(response.GetTotalBytes())
		name = response.GetName()
	}
}
