/* mp4read against what fmp4 writes, and against damage; mp4write's tables; the rows. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "buf.h"
#include "bytes.h"
#include "fmp4.h"
#include "mp4read.h"
#include "mp4write.h"
#include "rows.h"

static const uint8_t avcc[] = { 1, 0x64, 0, 0x1e, 0xff, 0xe1, 0, 0, 1, 0, 0 };
static const uint8_t asc[] = { 0x11, 0x90 };
static const struct codec avc = { .fourcc = FLV_AVC, .width = 320, .height = 180 };
static const struct codec aac = { .fourcc = FLV_AAC, .rate = 48000, .channels = 2 };

static void
picture(struct buf *b)
{
	const struct fmp4_track t = { true, 90000, &avc, avcc, sizeof(avcc) };

	assert_int_equal(fmp4_init(b, &t), 0);
}

static void
reads_what_fmp4_writes(void **state)
{
	const struct fmp4_sample in[] = { { 5, 3000, 6000, true }, { 7, 3001, -3000, false }, { 1, 2999, 0, false } };
	struct mp4_walk w = { 0 };
	struct buf init = { 0 }, part = { 0 };
	struct mp4_init parsed;
	struct mp4_sample s;
	int i;

	(void)state;
	picture(&init);
	assert_int_equal(mp4_init_parse(buf_data(&init), buf_len(&init), &parsed), 0);
	assert_int_equal(parsed.count, 1);
	assert_true(parsed.track[0].video);
	assert_int_equal(parsed.track[0].timescale, 90000);
	assert_int_equal(parsed.track[0].width, 320);
	assert_int_equal(parsed.track[0].codec, FOURCC('a', 'v', 'c', '1'));
	assert_int_equal(parsed.track[0].config_size, sizeof(avcc));
	assert_memory_equal(parsed.track[0].config, avcc, sizeof(avcc));
	fmp4_part(&part, 1, true, (int64_t)1 << 40, in, 3, (const uint8_t *)"0123456789abc");
	for (i = 0; i < 2; i++) { /* an offset in the file moves the samples with it */
		uint64_t at = i * 777;
		size_t moof = get_be32(buf_data(&part));
		int64_t dts = (int64_t)1 << 40;
		uint64_t offset = at + moof + 8;
		size_t k;

		assert_int_equal(mp4_walk_begin(&w, &parsed, buf_data(&part), moof, at), 0);
		for (k = 0; k < 3; k++) {
			assert_int_equal(mp4_walk_next(&w, &s), 1);
			assert_int_equal(s.dts, dts);
			assert_int_equal(s.cts, in[k].cts);
			assert_int_equal(s.dur, in[k].dur);
			assert_int_equal(s.size, in[k].size);
			assert_int_equal(s.key, in[k].key);
			assert_int_equal(s.offset, offset);
			dts += s.dur;
			offset += s.size;
		}
		assert_int_equal(mp4_walk_next(&w, &s), 0);
	}
	buf_free(&init);
	buf_free(&part);
}

static void
reads_the_audio_configuration(void **state)
{
	const struct fmp4_track t = { false, 48000, &aac, asc, sizeof(asc) };
	struct buf init = { 0 };
	struct mp4_init parsed;

	(void)state;
	assert_int_equal(fmp4_init(&init, &t), 0);
	assert_int_equal(mp4_init_parse(buf_data(&init), buf_len(&init), &parsed), 0);
	assert_false(parsed.track[0].video);
	assert_int_equal(parsed.track[0].config_size, sizeof(asc));
	assert_memory_equal(parsed.track[0].config, asc, sizeof(asc));
	buf_free(&init);
}

/* Every prefix, and every byte set to 0, 0xff and its neighbour: an answer, and never a step outside. */
static void
damage_is_an_error_and_no_more(void **state)
{
	const struct fmp4_sample in[] = { { 5, 3000, 0, true }, { 7, 3000, 0, false } };
	struct buf init = { 0 }, part = { 0 };
	struct mp4_init parsed, good;
	struct mp4_sample s;
	size_t i, n;
	int k;

	(void)state;
	picture(&init);
	fmp4_part(&part, 1, true, 0, in, 2, (const uint8_t *)"0123456789ab");
	n = get_be32(buf_data(&part));
	assert_int_equal(mp4_init_parse(buf_data(&init), buf_len(&init), &good), 0);
	for (i = 0; i < buf_len(&init); i++) {
		uint8_t *copy = malloc(i ? i : 1);

		memcpy(copy, buf_data(&init), i);
		assert_int_not_equal(mp4_init_parse(copy, i, &parsed), 0);
		free(copy);
	}
	for (i = 0; i < n; i++) {
		for (k = 0; k < 4; k++) {
			struct mp4_walk w = { 0 };
			size_t size = k == 3 ? i : n;
			uint8_t *copy = malloc(size ? size : 1);

			memcpy(copy, buf_data(&part), size);
			if (k < 3)
				copy[i] = k == 0 ? 0 : k == 1 ? 0xff : copy[i] + 1;
			if (mp4_walk_begin(&w, &good, copy, size, 0) == 0)
				while (mp4_walk_next(&w, &s) > 0)
					assert_in_range(s.dts, 0, MP4_TIME_MAX);
			free(copy);
		}
	}
	buf_free(&init);
	buf_free(&part);
}

static void
a_million_samples_in_no_bytes_are_refused(void **state)
{
	/* trun without a field of its own claims a million samples. */
	static const uint8_t moof[] = { 0, 0, 0, 48, 'm', 'o', 'o', 'f', 0, 0, 0, 40, 't', 'r', 'a', 'f', 0, 0, 0, 16,
		't', 'f', 'h', 'd', 0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 16, 't', 'r', 'u', 'n', 0, 0, 0, 0, 0, 15, 0x42,
		0x40 };
	struct mp4_walk w = { 0 };
	struct mp4_sample s;
	struct mp4_init good;
	struct buf init = { 0 };

	(void)state;
	picture(&init);
	assert_int_equal(mp4_init_parse(buf_data(&init), buf_len(&init), &good), 0);
	assert_int_equal(mp4_walk_begin(&w, &good, moof, sizeof(moof), 0), 0);
	assert_int_equal(mp4_walk_next(&w, &s), -EMSGSIZE);
	buf_free(&init);
}

static void
rows_give_back_what_it_took(void **state)
{
	static const int counts[] = { 0, 1, 8191, 8192, 8193, 50000 };
	struct rows *s;
	const void *p;
	uint32_t i;
	size_t k;
	int again;

	(void)state;
	for (k = 0; k < sizeof(counts) / sizeof(*counts); k++) {
		assert_int_equal(rows_new(&s, "/tmp", sizeof(i)), 0);
		for (i = 0; i < (uint32_t)counts[k]; i++)
			assert_int_equal(rows_add(s, &i), 0);
		if (i)
			*(uint32_t *)rows_last(s) += 7; /* the newest one can be changed */
		else
			assert_null(rows_last(s));
		for (again = 0; again < 2; again++) {
			rows_rewind(s);
			for (i = 0; rows_next(s, &p) > 0; i++)
				assert_int_equal(*(const uint32_t *)p, i + (i + 1 == (uint32_t)counts[k] ? 7 : 0));
			assert_int_equal(i, counts[k]);
		}
		rows_free(&s);
	}
}

static int
collect(void *arg, const void *data, size_t n)
{
	return buf_append(arg, data, n);
}

/* Beyond 4 GB chunks are told in 64 bits, mdat has a long head, and the sizes still add up. */
static void
offsets_grow_when_they_must(void **state)
{
	static const uint8_t entry[86] = { 0, 0, 0, 86, 'a', 'v', 'c', '1' };
	int big, track, e;

	(void)state;
	for (big = 0; big < 2; big++) {
		struct mp4_out_sample s = { .size = big ? 0x7fffffff : 1000, .dur = 3000, .key = 1 };
		struct buf head = { 0 };
		struct mp4_writer *w;
		uint64_t size;
		int i;

		assert_int_equal(mp4_writer_new(&w, "/tmp", 90000), 0);
		assert_int_equal(track = mp4_writer_track(w, true, 90000, 16, 16), 0);
		assert_int_equal(e = mp4_writer_entry(w, track, entry, sizeof(entry)), 0);
		assert_int_equal(mp4_writer_entry(w, track, entry, sizeof(entry)), e); /* the same again */
		for (i = 0; i < 3; i++) {
			assert_int_equal(mp4_writer_sample(w, track, &s), 0);
			assert_int_equal(mp4_writer_chunk(w, track, e, 1, s.size), 0);
		}
		mp4_writer_edit(w, track, 0, 0, 9000);
		assert_int_equal(mp4_writer_layout(w, &size), 0);
		assert_int_equal(mp4_writer_head(w, collect, &head), 0);
		assert_int_equal(buf_len(&head) + 3 * (uint64_t)s.size, size);
		assert_int_equal(get_be32(buf_data(&head) + 28) + 28 + (big ? 16 : 8), buf_len(&head));
		assert_int_equal(memmem(buf_data(&head), buf_len(&head), "co64", 4) != NULL, big);
		if (big)
			assert_int_equal(get_be64(buf_data(&head) + buf_len(&head) - 8), 3 * (uint64_t)s.size + 16);
		buf_free(&head);
		mp4_writer_free(&w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(reads_what_fmp4_writes),
		cmocka_unit_test(reads_the_audio_configuration), cmocka_unit_test(damage_is_an_error_and_no_more),
		cmocka_unit_test(a_million_samples_in_no_bytes_are_refused),
		cmocka_unit_test(rows_give_back_what_it_took), cmocka_unit_test(offsets_grow_when_they_must) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
