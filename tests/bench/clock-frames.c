/*
 * clock-frames writes raw yuv420p frames at their pace, each with the time it was made in it:
 *   clock-frames WIDTH HEIGHT FPS | ffmpeg -f rawvideo -s WIDTHxHEIGHT -r FPS -i - ...
 *
 * The upper tenth of the picture is 52 cells over the whole width: white, black, 44 bits of Unix time
 * in milliseconds (the highest first), 4 bits of checksum (the sum of the eleven nibbles), black, white.
 * Below them a gradient moves, so that an encoder has work.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CELLS 52
#define CLOCK_SHARE 10 /* the clock is a tenth of the height */
#define SIDE_MAX 4096

static uint64_t
cells_of(uint64_t ms)
{
	uint64_t bits = ms & 0xfffffffffff, sum = 0;
	int i;

	for (i = 0; i < 44; i += 4)
		sum += bits >> i & 15;
	return 1ull << 51 | bits << 6 | (sum & 15) << 2 | 1;
}

static uint64_t
wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
draw(uint8_t *luma, size_t width, size_t height, uint64_t frame)
{
	uint64_t cells = cells_of(wall_ms());
	size_t x, y;

	for (x = 0; x < width; x++)
		luma[x] = cells >> (CELLS - 1 - x * CELLS / width) & 1 ? 235 : 16;
	for (y = 1; y < height / CLOCK_SHARE; y++)
		memcpy(luma + y * width, luma, width);
	for (; y < height; y++)
		for (x = 0; x < width; x++)
			luma[y * width + x] = (uint8_t)(16 + (x + y + frame * 2) % 200);
}

int
main(int argc, char **argv)
{
	long width = argc == 4 ? strtol(argv[1], NULL, 10) : 0;
	long height = argc == 4 ? strtol(argv[2], NULL, 10) : 0, fps = argc == 4 ? strtol(argv[3], NULL, 10) : 0;
	struct timespec next;
	size_t luma, size;
	uint8_t *frame;
	uint64_t n;

	if (width < CELLS || height < CLOCK_SHARE || fps < 1 || width > SIDE_MAX || height > SIDE_MAX ||
		fps > 240 || width % 2 || height % 2) {
		fputs("usage: clock-frames WIDTH HEIGHT FPS\n", stderr);
		return 64;
	}
	luma = (size_t)width * (size_t)height;
	size = luma + luma / 2;
	if (!(frame = malloc(size)))
		return 71;
	memset(frame + luma, 128, size - luma);
	clock_gettime(CLOCK_MONOTONIC, &next);
	for (n = 0;; n++) {
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL) == EINTR)
			;
		draw(frame, (size_t)width, (size_t)height, n);
		if (fwrite(frame, 1, size, stdout) != size || fflush(stdout))
			return 74;
		if ((next.tv_nsec += 1000000000 / fps) >= 1000000000) {
			next.tv_nsec -= 1000000000;
			next.tv_sec++;
		}
	}
}
