//! Secrets of documented formats, put together here, and look-alikes.

use super::*;

fn kinds(text: &str) -> Vec<&'static str> {
    find(Path::new("notes.txt"), text).into_iter().map(|find| find.kind).collect()
}

#[test]
fn tokens_of_services_are_known_by_their_shape() {
    // Put together here, so that no scanner of this repository takes them for real.
    for (kind, parts) in [
        ("aws_access_key", ["AKIA", "IOSFODNN7RZQKLMP"]),
        ("github_token", ["ghp_", "aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dF3hJ5"]),
        ("slack_token", ["xoxb-", "123456789012-abcdefGHIJKL"]),
        ("google_api_key", ["AIza", "SyA1b2C3d4E5f6G7h8I9j0K1l2M3n4O5p6Q"]),
        ("anthropic_key", ["sk-ant-", "api03-aB3dE5gH7jK9mN1pQ3sT5"]),
        ("openai_key", ["sk-proj-", "aB3dE5gH7jK9mN1pQ3sT5vW7"]),
        ("stripe_key", ["sk_live_", "aB3dE5gH7jK9mN1pQ3sT5vW7"]),
        ("private_key", ["-----BEGIN RSA PRIVATE ", "KEY-----\nMIIEpAIBAAKCAQEA7bq8Kj2"]),
        ("url_password", ["postgres://app:", "s7Kq9vX2mP@db.internal/x"]),
        ("url_password", ["redis://:", "kestrelwharf@cache.internal:6379/0"]),
        ("slack_token", ["xapp-", "1-A04BCD7EF2G-4412345678901-9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c"]),
        ("google_oauth_secret", ["GOCSPX-", "k7Jq2mZ9xWv4Tn8Rb3Lc6Hd1Fg5Y"]),
        ("stripe_key", ["whsec_", "q8Zk3Lm7Xw2Vn9Tb4Rc6Jd1Hf5GyPs0A"]),
        ("docker_token", ["dckr_pat_", "q8Zk3Lm7Xw2Vn9Tb4Rc6Jd1Hf5G"]),
        ("huggingface_token", ["hf_", "qZkLmXwVnTbRcJdHfGyPsAeUiOqZkLmXwV"]),
        ("telegram_token", ["712345689:AA", "Gq8Zk3Lm7Xw2Vn9Tb4Rc6Jd1Hf5GyPs0A"]),
        ("sendgrid_key", ["SG.", "q8Zk3Lm7Xw2Vn9Tb4Rc6Jd.1Hf5GyPs0Aq8Zk3Lm7Xw2Vn9Tb4Rc6Jd1Hf5GyPs0A1"]),
        ("twilio_key", ["SK", "9f8e7d6c5b4a39281706f5e4d3c2b1a0"]),
        ("mailgun_key", ["key-", "9f8e7d6c5b4a39281706f5e4d3c2b1a0"]),
        ("databricks_token", ["dapi", "9f8e7d6c5b4a39281706f5e4d3c2b1a0"]),
        ("shopify_token", ["shpat_", "9f8e7d6c5b4a39281706f5e4d3c2b1a0"]),
        ("vault_token", ["hvs.", "CAESIq8Zk3Lm7Xw2Vn9Tb4Rc6Jd1Hf5G"]),
        ("grafana_token", ["glsa_", "q8Zk3Lm7Xw2Vn9Tb4Rc6Jd1Hf5GyPs0A_9f8e7d6c"]),
        (
            "azure_storage_key",
            [
                "AccountKey=",
                "q8Zk3Lm7Xw2Vn9Tb4Rc6Jd1Hf5GyPs0Aq8Zk3Lm7Xw2Vn9Tb4Rc6Jd1Hf5GyPs0Aq8Zk3Lm7Xw2Vn9Tb4Rc6J==",
            ],
        ),
        ("http_authorization", ["Authorization: Bearer ", "q8Zk3Lm7Xw2Vn9Tb4Rc6"]),
        ("connection_password", ["Server=db;User Id=app;Password=", "Kestrel-Wharf;"]),
        (
            "private_key",
            [
                "-----BEGIN RSA PRIVATE ",
                "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,0A1B\n\nMIIEpAIBAAKCAQEA7bq8Kj2",
            ],
        ),
        (
            "private_key",
            ["-----BEGIN PGP PRIVATE ", "KEY BLOCK-----\nVersion: GnuPG v2\n\nlQOYBFxq8Kj2MIIEpAIBAAK"],
        ),
        ("private_key", ["{\"private_key\": \"-----BEGIN PRIVATE ", "KEY-----\\nMIIEpAIBAAKCAQEA7bq8Kj2\\n"]),
    ] {
        let text = format!("x = {} # y", parts.concat());
        assert!(kinds(&text).contains(&kind), "{kind}: {:?}", kinds(&text));
    }
    let jwt =
        ["eyJhbGciOiJIUzI1NiJ9", "eyJzdWIiOiIxMjM0NTY3ODkwIn0", "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"].join(".");
    assert_eq!(kinds(&jwt), ["jwt"]);
}

#[test]
fn assigned_values_count_when_they_look_random() {
    assert_eq!(kinds("password = \"kT9#vQ2!mZ7p\""), ["assigned_secret"]);
    assert_eq!(kinds("DB_PASSWORD=kT9vQ2mZ7pLw\n"), ["assigned_secret"]);
    assert_eq!(kinds("passphrase: \"Kestrel!Wharf?Lantern\""), ["assigned_secret"]);
    assert_eq!(kinds("machine db.corp.net login app password kestrelwharf\n"), ["netrc_password"]);
    assert_eq!(kinds("db.corp.net:5432:orders:app:kestrelwharf\n"), ["pgpass_password"]);
    for host in ["[2001:db8::17]", "2001\\:db8\\:\\:17", "/var/run/postgresql"] {
        let line = format!("{host}:5432:orders:app:kestrelwharf\n");
        assert_eq!(kinds(&line), ["pgpass_password"], "{line}");
    }
    for harmless in [
        "password = \"password123\"",
        "api_key: \"YOUR_API_KEY_1\"",
        "password: ${DB_PASSWORD_2}",
        "api_key = os.getenv(\"KEY1\")",
        "secret: string",
        "let token = parse_token2(input)",
        "password = \"aaaaaaaa1\"",
        "-----BEGIN PRIVATE KEY-----\n...",
        "AKIAAAAAAAAAAAAAAAAA",
        "AKIAIOSFODNN7EXAMPLE",
        "password_hash: 5f4dcc3b5aa765d61d8327deb882cf99",
        "api_key_name: X-Api-Key-V2",
        "client_secret_id: 3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "secret: 3f2504e0-4f89-41d3-9a0c-0305e82c3301",
        "redis://:password@localhost",
        "Authorization: Bearer <token>",
        "Authorization: Basic authentication-is-required",
        "machine host login user password yourpassword",
        "commit 9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c",
        "TmV2ZXIgZ29ubmEgZ2l2ZSB5.b3UgdX.AgbmV2ZXIgZ29ubmEgbGV0IHlvdSBkb3du",
        "MzYwIGRlZ3JlZXMgb2YgYXJj.ZGF0YQ.c29tZSBvcmRpbmFyeSBiYXNlNjQgdGV4dA",
        "docker://host:5000/image@sha256:9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a39281706f5e4d3c2b1a0",
        "docker://alpine:3.19.1@sha256:9f8e7d6c5b4a39281706f5e4d3c2b1a09f8e7d6c5b4a39281706f5e4d3c2b1a0",
        "oci://registry:v1.2.3-rc4@sha512:9f8e7d6c5b4a39281706f5e4d3c2b1a0",
        "postgres://postgres:postgres@localhost/app",
        "mongodb://Wharfinger:wharfinger@db.internal/x",
        "machine db.corp.net login kestrel password kestrel",
        "db.corp.net:5432:orders:kestrel:kestrel",
        "Server=db;User Id=kestrel;Password=kestrel;",
        "fd00:1234:5678:9abc:def0:1234:5678:9abc",
        "2001:1234:5678:9abc:def0:1234:5678:9abc/64",
        "[2001:1234:5678:9abc:def0:1234:5678:9abc]",
    ] {
        assert!(kinds(harmless).is_empty(), "{harmless}: {:?}", kinds(harmless));
    }
}

#[test]
fn lines_of_five_fields_are_passwords_where_something_says_so() {
    let kinds = |path: &str, text: &str| -> Vec<&'static str> {
        find(Path::new(path), text).into_iter().map(|find| find.kind).collect()
    };
    let line = "db.corp.net:1042:orders:app:kestrelwharf\n";
    for (path, text) in [
        ("home/.pgpass", line.to_owned()),
        ("home/pgpass.conf", "db.corp.net:1042:5:app:kestrelwharf\n".to_owned()),
        ("setup.md", format!("Put this into ~/.pgpass:\n\n{line}")),
        ("setup.md", format!("# hostname:port:database:username:password\n{line}")),
        ("a.txt", line.replace("1042", "5432")),
        ("a.txt", line.replace("1042", "*")),
    ] {
        assert_eq!(kinds(path, &text), ["pgpass_password"], "{path}: {text}");
    }
    for (path, text) in [
        ("found.txt", "routes.yml:1042:5:path:/users\n".to_owned()),
        ("found.txt", "src/main.rs:5432:17:error:mismatched\n".to_owned()),
        ("build.log", "lib.c:88:12:warning:unused-variable\n".to_owned()),
        ("times.txt", "12:30:45:123:started\n00:11:22:33:445566\n".to_owned()),
        ("passwd", "games:x:5:60:games:/usr/games:/usr/sbin/nologin\n".to_owned()),
        ("routes.txt", "acme:1042:orders:app:kestrelwharf\n".to_owned()),
        ("after.md", format!("{line}\nThis is no .pgpass.\n")),
        (".pgpass", line.replace("1042", "70000")),
        (".pgpass", line.replace("1042", "0")),
    ] {
        assert!(kinds(path, &text).is_empty(), "{path}: {text}");
    }
}

#[test]
fn every_format_of_the_file_is_a_regular_expression_with_one_group() {
    let rows: Vec<_> = format_rows().collect();
    assert_eq!(rows.len(), FORMATS.len());
    for (kind, format) in FORMATS.iter() {
        assert_eq!(format.captures_len(), 2, "{kind}");
    }
}

/// One sample of each format, as its vendor documents it: `{aA0:40}` stands for forty characters of those
/// classes (`h`: hexadecimal), and `|` is taken out, so that no scanner of this repository takes a row for real.
const SAMPLES: &[(&str, &str)] = &[
    ("aws_access_key", "AK|IA{A:16}"),
    ("aws_secret_key", "aws_secret_access_key = {aA0:40}"),
    ("azure_storage_key", "Account|Key={aA0:86}=="),
    ("azure_client_secret", "aB38|Q~{aA0:34}"),
    ("age_secret_key", "AGE-SECRET|-KEY-1{b:58}"),
    ("anthropic_key", "sk-|ant-api03-{aA0:40}"),
    ("artifactory_token", "AK|C{aA0:64}"),
    ("atlassian_token", "ATA|TT3{aA0:160}"),
    ("cloudflare_token", "CF_API_TOKEN={aA0:40}"),
    ("databricks_token", "da|pi{h:32}"),
    ("digitalocean_token", "dop|_v1_{h:64}"),
    ("discord_token", "MTIzNDU2|Nzg5MDEyMzQ1Njc4.G{aA0:5}.{aA0:30}"),
    ("discord_webhook", "https://discord.com/api/web|hooks/{0:18}/{aA0:68}"),
    ("docker_token", "dckr|_pat_{aA0:27}"),
    ("doppler_token", "dp.|pt.{aA0:43}"),
    ("dynatrace_token", "dt0|c01.{A0:24}.{A0:64}"),
    ("facebook_token", "EAACEdEose0|cBA{aA0:30}"),
    ("fastly_token", "FASTLY_API={aA0:32}"),
    ("flutterwave_key", "FLW|SECK-{aA0:32}-X"),
    ("github_token", "gh|p_{aA0:36}"),
    ("gitlab_token", "gl|pat-{aA0:20}"),
    ("google_api_key", "AI|za{aA0:35}"),
    ("google_oauth_secret", "GOC|SPX-{aA0:28}"),
    ("google_oauth_token", "ya|29.{aA0:60}"),
    ("grafana_token", "gl|sa_{aA0:32}_{h:8}"),
    ("groq_key", "gs|k_{aA0:52}"),
    ("heroku_key", "HR|KU-{h:40}"),
    ("huggingface_token", "h|f_{aA:34}"),
    ("linear_key", "lin|_api_{aA0:40}"),
    ("mailchimp_key", "{h:32}-us|12"),
    ("mailgun_key", "ke|y-{h:32}"),
    ("newrelic_key", "NR|AK-{A0:27}"),
    ("notion_token", "nt|n_{aA0:46}"),
    ("npm_token", "np|m_{aA0:36}"),
    ("nuget_key", "oy|2{a0:43}"),
    ("okta_token", "OKTA_API=0|0{aA0:40}"),
    ("openai_key", "sk|-proj-{aA0:48}"),
    ("pagerduty_key", "PAGERDUTY={aA0:20}"),
    ("paypal_token", "access_token$|production${a0:16}${h:32}"),
    ("planetscale_token", "pscale|_tkn_{aA0:43}"),
    ("postman_key", "PM|AK-{h:24}-{h:34}"),
    ("private_key", "-----BEGIN PRIVATE| KEY-----\n{aA0:64}\n"),
    ("pulumi_token", "pu|l-{h:40}"),
    ("pypi_token", "py|pi-AgEIcHlwaS5vcmc{aA0:60}"),
    ("replicate_token", "r|8_{aA0:37}"),
    ("rubygems_key", "ruby|gems_{h:48}"),
    ("sendgrid_key", "S|G.{aA0:22}.{aA0:43}"),
    ("sentry_token", "sntr|ys_{aA0:60}"),
    ("shopify_token", "sh|pat_{h:32}"),
    ("slack_token", "xo|xb-{0:12}-{0:12}-{aA0:24}"),
    ("slack_webhook", "https://hooks.slack.com/ser|vices/T{A0:10}/B{A0:10}/{aA0:24}"),
    ("square_token", "sq0|atp-{aA0:22}"),
    ("stripe_key", "sk_|live_{aA0:24}"),
    ("supabase_key", "sb|p_{h:40}"),
    ("telegram_token", "{0:10}|:AA{aA0:33}"),
    ("terraform_token", "{aA0:14}.atlas|v1.{aA0:67}"),
    ("twilio_key", "S|K{h:32}"),
    ("vault_token", "hv|s.{aA0:95}"),
    ("yandex_token", "t1|.{aA0:40}.{aA0:86}"),
    ("jwt", "ey|J{aA0:30}.ey|J{aA0:40}.{aA0:43}"),
    ("http_authorization", "Authorization: Bear|er {aA0:40}"),
    ("url_password", "postgres://app:{aA0:16}@db.internal/x"),
    ("netrc_password", "machine db.corp.net login app password {aA0:16}"),
    ("pgpass_password", "db.corp.net:5432:orders:app:{aA0:16}"),
    ("connection_password", "Server=db;User Id=app;Password={aA0:16};"),
];

fn sample(form: &str, rng: &mut fastrand::Rng) -> String {
    let mut sample = String::new();
    let mut parts = form.split('{');
    sample.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (class, rest) = part.split_once('}').unwrap();
        let (classes, count) = class.split_once(':').unwrap();
        let of = |class: char| match class {
            'a' => "abcdefghijklmnopqrstuvwyz",
            'A' => "ABCDEFGHIJKLMNOPQRSTUVWYZ",
            '0' => "23456789",
            'h' => "0123456789abcdef",
            'b' => "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L",
            other => panic!("no class {other}"),
        };
        let letters: Vec<char> = classes.chars().flat_map(|class| of(class).chars()).collect();
        sample.extend((0..count.parse().unwrap()).map(|_: usize| letters[rng.usize(..letters.len())]));
        sample.push_str(rest);
    }
    sample.replace('|', "")
}

#[test]
fn every_format_of_the_file_finds_a_sample_of_its_documented_form() {
    let mut rng = fastrand::Rng::with_seed(7);
    for (kind, form) in SAMPLES {
        let sample = sample(form, &mut rng);
        assert!(kinds(&sample).contains(kind), "{kind}: {:?} in {sample}", kinds(&sample));
    }
    let sampled: std::collections::BTreeSet<_> = SAMPLES.iter().map(|(kind, _)| *kind).collect();
    let known: std::collections::BTreeSet<_> = format_rows().map(|(kind, _)| kind).collect();
    assert_eq!(sampled, known);
}
