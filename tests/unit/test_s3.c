/* s3: access keys as files hold them, answers as servers word them, URLs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "buf.h"
#include "s3cred.h"
#include "s3fault.h"
#include "s3page.h"
#include "xml.h"

#define COUNT(a) (sizeof(a) / sizeof(*(a)))
#define ERROR(code, more) "<?xml version=\"1.0\"?><Error><Code>" code "</Code><Message></Message>" more "</Error>"

static void
faults(void **state)
{
	static const struct {
		int status;
		const char *body, *region;
		enum s3_verdict verdict;
		const char *why;
	} table[] = {
		{ 200, "", NULL, S3_OK, "" },
		{ 403, ERROR("InvalidAccessKeyId", ""), NULL, S3_CONFIG, "the access key ID is not known there" },
		{ 403, ERROR("SignatureDoesNotMatch", ""), NULL, S3_CONFIG, "the secret of access key ID is wrong" },
		{ 403, ERROR("ExpiredToken", ""), NULL, S3_CONFIG, "the session token has expired" },
		{ 400, ERROR("ExpiredToken", ""), NULL, S3_CONFIG, "the session token has expired" },
		{ 400, ERROR("InvalidToken", ""), NULL, S3_CONFIG, "the session token does not belong to access key ID" },
		{ 403, ERROR("QuotaExceeded", ""), NULL, S3_CONFIG, "the quota of bucket b is used up" },
		{ 403, "", NULL, S3_CONFIG, "access key ID has no right to do this in bucket b (access denied)" },
		{ 403, ERROR("RequestTimeTooSkewed", ""), NULL, S3_AGAIN, "the clock of this machine is wrong" },
		{ 404, ERROR("NoSuchBucket", ""), NULL, S3_CONFIG, "there is no bucket b at http://h" },
		{ 404, ERROR("NoSuchKey", ""), NULL, S3_MISSING, "there is no such object" },
		{ 404, "", NULL, S3_MISSING, "there is no such object" },
		{ 404, ERROR("NoSuchUpload", ""), NULL, S3_MISSING, "there is no such upload" },
		{ 412, ERROR("PreconditionFailed", ""), NULL, S3_NEVER, "it is not the object that it was" },
		{ 400, ERROR("AuthorizationHeaderMalformed", "<Region>eu-west-1</Region>"), NULL, S3_CONFIG,
			"bucket b is in region eu-west-1, not us-east-1: use --region eu-west-1" },
		{ 301, ERROR("PermanentRedirect", ""), "eu-west-2", S3_CONFIG,
			"bucket b is in region eu-west-2, not us-east-1: use --region eu-west-2" },
		{ 307, "", NULL, S3_CONFIG, "bucket b is not in region us-east-1, or not at http://h" },
		{ 400, ERROR("XAmzContentSHA256Mismatch", ""), NULL, S3_AGAIN,
			"it changed while it was sent (XAmzContentSHA256Mismatch)" },
		{ 503, ERROR("SlowDown", ""), NULL, S3_AWAY, "http://h answers 503 SlowDown" },
		{ 502, "<html><body>Bad Gateway<hr></body></html>", NULL, S3_AWAY, "http://h answers 502" },
		{ 429, "", NULL, S3_AWAY, "http://h answers 429" },
		{ 400, ERROR("KeyTooLongError", ""), NULL, S3_NEVER, "http://h answers 400 KeyTooLongError" },
	};
	struct s3_fault f;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(table); i++) {
		struct s3_about about = { "b", "ID", "us-east-1", "http://h", table[i].region };

		s3_judge(&f, &about, table[i].status, table[i].body, strlen(table[i].body));
		assert_string_equal(f.why, table[i].why);
		assert_int_equal(f.verdict, table[i].verdict);
	}
}

static void
keys(void **state)
{
	static const struct {
		const char *text, *profile, *id, *secret, *token;
	} table[] = {
		{ "[default]\naws_access_key_id = A\naws_secret_access_key=s/+=\n", "default", "A", "s/+=", "" },
		{ "aws_access_key_id=A\r\naws_secret_access_key=\tS \r\n", "default", "A", "S", "" },
		{ "[x]\naws_access_key_id=X\naws_secret_access_key=Y\n[default]\naws_access_key_id=A\n"
		  "aws_secret_access_key=B\naws_session_token=T\n", "default", "A", "B", "T" },
		{ "[x]\naws_access_key_id=X\naws_secret_access_key=Y\n[default]\naws_access_key_id=A\n"
		  "aws_secret_access_key=B", "x", "X", "Y", "" },
		{ "# mine\r\n[ x y ]\r\n  aws_access_key_id = X\r\n\taws_secret_access_key = Y\r\n \t", "x y", "X", "Y", "" },
		{ "[\n]\n[x\n[ ]\naws_access_key_id=X\naws_secret_access_key=Y\n", "x", NULL, NULL, NULL },
		{ "[x]\naws_access_key_id=X\naws_secret_access_key=Y\n", "default", NULL, NULL, NULL },
		{ "aws_access_key_id=X\n#aws_secret_access_key=Y\n", "default", NULL, NULL, NULL },
		{ "", "default", NULL, NULL, NULL },
	};
	struct s3cred c;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(table); i++) {
		int r = s3cred_parse(&c, table[i].text, table[i].profile);

		assert_int_equal(r, table[i].id ? 0 : -EBADMSG);
		if (!table[i].id)
			continue;
		assert_string_equal(c.id, table[i].id);
		assert_string_equal(c.secret, table[i].secret);
		assert_string_equal(c.token, table[i].token);
	}
}

static void
note(void *ctx, const char *name, const char *text)
{
	buf_printf(ctx, "%s=%s ", name, text);
}

static void
documents(void **state)
{
	static const struct {
		const char *xml, *want;
		int r;
	} table[] = {
		{ "<a><b>1 &amp; 2</b><c/></a>", "b=1 & 2 c= a= ", 0 },
		{ "<a xmlns='x'><K>&#252;&lt;</K></a>", "K=\xc3\xbc< a= ", 0 },
		{ "<a><b>1</b>", "b=1 ", -EBADMSG },
		{ "<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "", -EBADMSG },
		{ "", "", -EBADMSG },
		{ "<a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a><a>", "", -EMSGSIZE },
	};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(table); i++) {
		struct buf b = { 0 };

		assert_int_equal(xml_each(table[i].xml, strlen(table[i].xml), note, &b), table[i].r);
		buf_u8(&b, 0);
		assert_string_equal((const char *)buf_data(&b), table[i].want);
		buf_free(&b);
	}
}

/* Lists as Amazon, radosgw and Swift word them. */
static void
pages(void **state)
{
	static const struct {
		const char *xml, *want;
		int r;
	} table[] = {
		{ "<ListBucketResult><Name>b</Name><Prefix>p/</Prefix><EncodingType>url</EncodingType>"
		  "<IsTruncated>true</IsTruncated><Contents><Key>p/a+b%2Bc%25%C3%A9</Key><LastModified>2025-06-01"
		  "T00:00:01.000Z</LastModified><ETag>&quot;ab&quot;</ETag><Size>7</Size></Contents><Contents><Key>p/2"
		  "</Key><Size>8</Size></Contents><NextContinuationToken>t+=/</NextContinuationToken></ListBucketResult>",
			"p/a b+c%\xc3\xa9 - 0 7 1748736001000 ab;p/2 - 0 8 0 ;next t+=/", 0 },
		{ "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>a%20b+c</Key></Contents>"
		  "</ListBucketResult>", "a%20b+c - 0 0 0 ;next -", 0 },
		{ "<ListPartsResult><Key>k</Key><UploadId>u</UploadId><NextPartNumberMarker>2</NextPartNumberMarker>"
		  "<IsTruncated>true</IsTruncated><Part><PartNumber>1</PartNumber><ETag>e1</ETag><Size>5</Size></Part>"
		  "<Part><PartNumber>2</PartNumber><ETag>\"e2\"</ETag><Size>6</Size></Part></ListPartsResult>",
			"- - 1 5 0 e1;- - 2 6 0 e2;next 2", 0 },
		{ "<ListMultipartUploadsResult><NextKeyMarker>a b</NextKeyMarker><NextUploadIdMarker>u9"
		  "</NextUploadIdMarker><IsTruncated>true</IsTruncated><Upload><Key>a b</Key><UploadId>u9</UploadId>"
		  "<Initiated>2025-06-01T00:00:02Z</Initiated></Upload></ListMultipartUploadsResult>",
			"a b u9 0 0 1748736002000 ;next u9 a b", 0 },
		{ "<ListBucketResult><Contents><Key>a</Key></Contents>", "a - 0 0 0 ;next -", -EBADMSG },
		{ "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>", "next -", -EBADMSG },
		{ "<html><body>Bad Gateway</body></html>", "next -", -EBADMSG },
	};
	struct s3_page page;
	size_t i, j;

	(void)state;
	for (i = 0; i < COUNT(table); i++) {
		struct buf b = { 0 };

		assert_int_equal(s3_page_read(&page, table[i].xml, strlen(table[i].xml)), table[i].r);
		for (j = 0; j < page.n; j++)
			buf_printf(&b, "%s %s %d %d %lld %s;", page.entries[j].key ? page.entries[j].key : "-",
				page.entries[j].upload ? page.entries[j].upload : "-", page.entries[j].part,
				(int)page.entries[j].size, (long long)page.entries[j].changed_ms, page.entries[j].etag);
		buf_printf(&b, "next %s", page.next ? page.next : "-");
		buf_u8(&b, 0);
		assert_string_equal((const char *)buf_data(&b), table[i].want);
		buf_free(&b);
		s3_page_free(&page);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(faults), cmocka_unit_test(keys),
		cmocka_unit_test(documents), cmocka_unit_test(pages) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
