"""The words that names are made of.  None of them matches the patterns of privileged roles."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


FIRST_NAMES = _words(
    "ada aisha akira alba amir ana anton aoife arjun bea boris carla chen clara dario dora elif elena emil "
    "eva farah felix femi finn gita goran hana hugo ida ines ivan jana joao jonas juan kaya kemal kofi lars "
    "leila lena luca mara mei mila nadia nils nora olga omar pavel petra quentin rafa rosa sami sara sven "
    "tara tomas uma vera viktor wanda xenia yara yusuf zoe"
)

SURNAMES = _words(
    "abe adler alonso amari bauer becker berg bianchi blum boateng brandt castro cohen costa danso diaz "
    "dubois eriksen farkas fischer fontana garcia haas haddad hansen horvat ito ivanova jansen jensen kaya "
    "keller kim klein kovac kumar lang larsen lopez maier mensah meyer moreau nakamura nguyen novak okafor "
    "olsen ortiz park patel petrov pinto rao ricci rossi sato schmid silva singh sommer suzuki tanaka "
    "torres vargas vogel wagner weber wolf yilmaz zhang zeman"
)

DOMAINS = _words(
    "payments ledger billing orders catalog search pricing shipping returns customs invoicing treasury "
    "risk fraud identity-proofing onboarding messaging notifications content media reviews loyalty "
    "recommendations forecasting warehouse routing fleet telemetry reporting compliance tax payroll"
)

AREAS = _words("core eu us apac latam uk edge data tools web mobile batch archive partner retail labs")

NOUNS = _words(
    "accounts cases contracts dashboards entries exports feeds limits mandates orders profiles quotas "
    "records refunds rules settlements statements tariffs templates vouchers"
)

VERBS = ("read", "list", "create", "update", "cancel")

ROLE_KINDS = ("reader", "editor", "operator", "analyst", "deployer")

SERVICE_KINDS = ("sync", "batch", "exporter", "scheduler", "gateway", "indexer", "reconciler", "deploy")

REASONS = (
    "customer case needs a look at the live records",
    "covers for a colleague on leave",
    "month-end closing",
    "migration to the new cluster",
    "incident follow-up",
    "quarterly review found the access missing",
    "project kick-off",
    "audit request",
)

ERRORS = ("timeout", "conflict", "rate limited", "internal error")

BROWSERS = (
    "Mozilla/5.0 (X11; Linux x86_64) Firefox/139.0",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) Safari/17.5",
    "Mozilla/5.0 (Windows NT 10.0; Win64) Chrome/137.0",
)
CLIENTS = ("access-sdk-go/2.8.1", "access-sdk-java/5.2.0", "access-sdk-python/3.4.2")
